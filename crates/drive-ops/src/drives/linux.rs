//! The block devices of Linux, from sysfs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::host::{Candidate, HostDrives};
use crate::failure::{Failure, Outcome};

/// Where the kernel tells its devices; other places in tests.
#[derive(Debug)]
pub(super) struct Linux {
    /// `/sys`
    pub(super) sys: PathBuf,
    /// `/dev`
    pub(super) dev: PathBuf,
}

/// A block device as sysfs tells it.
#[derive(Debug)]
struct Device {
    /// Its folder, links followed: that of a partition lies in that of its disk.
    folder: PathBuf,
    /// The disk of a partition.
    disk: Option<String>,
    bytes: u64,
    holders: Vec<String>,
    is_composed: bool,
}

impl HostDrives for Linux {
    fn candidates(&self) -> Outcome<Vec<Candidate>> {
        let devices = self.devices()?;
        let families = families(&devices);
        let found = devices.iter().filter(|(name, device)| device.bytes > 0 && !is_no_drive(name, device));
        let mut found: Vec<_> = found.map(|(name, device)| self.candidate(name, device, &devices, &families)).collect();
        found.sort_by_key(|candidate| natural(&candidate.path.to_string_lossy()));
        Ok(found)
    }
}

impl Linux {
    fn devices(&self) -> Outcome<BTreeMap<String, Device>> {
        let class = self.sys.join("class/block");
        let entries = std::fs::read_dir(&class).map_err(|error| {
            Failure::could_not("cannot list the drives of this computer")
                .cause(format!("{}: {error}", class.display()))
                .hint("name a device or an image: `keyhaven drives PATH`")
        })?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| Some((name.clone(), Device::read(&class.join(&name))?))).collect())
    }

    fn candidate(
        &self,
        name: &str,
        device: &Device,
        devices: &BTreeMap<String, Device>,
        families: &BTreeMap<&str, usize>,
    ) -> Candidate {
        let disk = device.disk.as_ref().and_then(|disk| devices.get(disk)).unwrap_or(device);
        let model = ["device/model", "device/name", "loop/backing_file", "dm/name"]
            .iter()
            .find_map(|file| text(&disk.folder.join(file)));
        let vendor = text(&disk.folder.join("device/vendor")).filter(|vendor| !vendor.starts_with("0x"));
        let model = match (vendor, model) {
            (Some(vendor), Some(model)) => Some(format!("{vendor} {model}")),
            (None, model) => model,
            (vendor, None) => vendor,
        };
        let has_partitions = devices.values().any(|other| other.disk.as_deref() == Some(name));
        Candidate {
            path: self.path_of(name, device),
            model,
            removable: text(&disk.folder.join("removable")).as_deref() == Some("1"),
            look_inside: device.disk.is_none() && !has_partitions,
            family: families.get(name).copied().unwrap_or(0),
            is_composed: device.is_composed,
        }
    }

    /// The file in `/dev`; people know composed devices by their names in `/dev/mapper`.
    fn path_of(&self, name: &str, device: &Device) -> PathBuf {
        let mapped = text(&device.folder.join("dm/name")).map(|name| self.dev.join("mapper").join(name));
        // sysfs writes an exclamation mark where a name has a slash.
        mapped.filter(|path| path.exists()).unwrap_or_else(|| self.dev.join(name.replace('!', "/")))
    }
}

impl Device {
    fn read(link: &Path) -> Option<Self> {
        let folder = link.canonicalize().ok()?;
        let disk = if folder.join("partition").exists() { folder.parent().and_then(Path::file_name) } else { None };
        let names = |folder: PathBuf| -> Vec<String> {
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
        };
        Some(Self {
            disk: disk.map(|name| name.to_string_lossy().into_owned()),
            // Always in units of 512 bytes, whatever the sectors of the device.
            bytes: text(&folder.join("size"))?.parse::<u64>().ok()?.checked_mul(512)?,
            holders: names(folder.join("holders")),
            is_composed: !names(folder.join("slaves")).is_empty(),
            folder,
        })
    }
}

/// Memory, floppies, and loop devices without a file.
fn is_no_drive(name: &str, device: &Device) -> bool {
    let is_numbered = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    ["ram", "zram", "fd"].into_iter().any(is_numbered)
        || is_numbered("loop") && text(&device.folder.join("loop/backing_file")).is_none()
}

/// A number for each device, equal where devices lie on the same hardware.
fn families(devices: &BTreeMap<String, Device>) -> BTreeMap<&str, usize> {
    let mut families: BTreeMap<&str, usize> =
        devices.keys().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
    for (name, device) in devices {
        for other in device.holders.iter().chain(&device.disk) {
            if let (Some(one), Some(two)) = (families.get(name.as_str()), families.get(other.as_str())) {
                let (one, two) = (*one, *two);
                families.values_mut().filter(|family| **family == two).for_each(|family| *family = one);
            }
        }
    }
    families
}

fn text(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// So that `sda10` comes behind `sda9`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for letter in name.chars() {
        match letter.to_digit(10) {
            Some(digit) => {
                in_number = true;
                if let Some((_, number)) = parts.last_mut() {
                    *number = number.saturating_mul(10).saturating_add(u64::from(digit));
                }
            }
            None => {
                if std::mem::take(&mut in_number) {
                    parts.push((String::new(), 0));
                }
                if let Some((text, _)) = parts.last_mut() {
                    text.push(letter);
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn devices_are_ordered_as_people_count() {
        let mut names = ["sdb", "sda10", "sda9", "nvme0n1p2", "sda", "nvme0n1", "nvme0n1p10", "sda2"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["nvme0n1", "nvme0n1p2", "nvme0n1p10", "sda", "sda2", "sda9", "sda10", "sdb"]);
    }
}
