//! The disk is full: nothing is acknowledged that is not kept, and the service goes on when there is room again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vault_client::Outcome;
use vault_client::problem::Code;
use vault_server::Limits;

use crate::harness::{Service, key_to_save};
use crate::metrics::get;

/// A file system of 8 MiB, where this may be made.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = fs::File::create(&path).unwrap();
        for size in [65_536, 4096, 512, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).output();
    }
}

fn ready(service: &Service) -> (u16, Value) {
    std::thread::sleep(Duration::from_millis(1100));
    let (status, body) = get(service.address(), "/ready");
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn saves_are_refused_while_the_disk_is_full_and_none_is_lost() {
    let Some(disk) = SmallDisk::mount() else {
        return testkit::skip("a small file system can be mounted by root only");
    };
    let data = disk.path().join("data");
    let mut service = Service::configured(move |config| {
        config.data_dir.clone_from(&data);
        config.min_free_bytes = 256 * 1024;
        config.limits = Limits { saves_per_device: 100_000, new_keys_per_device: 100_000, ..Limits::default() };
    });
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    assert_eq!(ready(&service).0, 200);

    let filler = disk.fill();
    // Room that the database has already is used first.
    let mut saved = 1;
    let refused = (0..3000).find_map(|_| match owner.client().save(&key_to_save()).unwrap() {
        Outcome::Saved { .. } => {
            saved += 1;
            None
        }
        Outcome::Waiting { why, .. } => Some(why),
    });
    assert_eq!(refused.expect("the disk was never full").code(), Some(Code::SaveNotDurable));
    for _ in 0..5 {
        let Outcome::Waiting { why, .. } = owner.client().save(&key_to_save()).unwrap() else { panic!("no room") };
        assert_eq!(why.code(), Some(Code::SaveNotDurable));
    }
    let (status, report) = ready(&service);
    assert_eq!((status, report["disk"].as_str()), (503, Some("full")), "{report}");
    assert_eq!(get(service.address(), "/health").0, 200);
    // What was acknowledged can be read meanwhile.
    assert_eq!(owner.client().records().unwrap().len(), saved);

    fs::remove_file(filler).unwrap();
    let delivery = owner.client().deliver_outbox().unwrap();
    assert_eq!((delivery.saved.len(), delivery.waiting.len()), (6, 0));
    assert_eq!(ready(&service).0, 200);
    service.stop();
    service.run();
    assert_eq!(owner.client().records().unwrap().len(), saved + 6);
    let report = owner.client().audit_verify().unwrap();
    assert!(report.problems.is_empty() && report.receipts == saved + 6, "{report:?}");
}
