//! Every format that `qemu-img` and `ewfacquire` make of one raw disk reads as that disk.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use block_io::{BlockRead, BlockWrite, Error as IoError};
use common::{check, content, raw, run};
use disk_image::{DiskImage, Error, ImageFormat};

const DISK_BYTES: usize = (12 << 20) + 512 * 7;

#[test]
fn images_of_qemu_read_as_their_disk() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = raw(folder.path(), DISK_BYTES);
    assert_eq!(check(&path, &bytes).format(), ImageFormat::Raw);
    let cases = [
        ("vpc", "subformat=fixed,force_size=on", "", ImageFormat::Vhd),
        ("vpc", "subformat=dynamic,force_size=on", "", ImageFormat::Vhd),
        ("vpc", "subformat=fixed", "", ImageFormat::Vhd),
        ("vpc", "subformat=dynamic", "", ImageFormat::Vhd),
        ("vhdx", "subformat=fixed", "", ImageFormat::Vhdx),
        ("vhdx", "subformat=dynamic", "", ImageFormat::Vhdx),
        ("vhdx", "subformat=dynamic,block_size=1M", "", ImageFormat::Vhdx),
        ("vhdx", "subformat=dynamic,block_size=256M,block_state_zero=off", "", ImageFormat::Vhdx),
        ("qcow2", "compat=0.10", "", ImageFormat::Qcow2),
        ("qcow2", "compat=1.1", "", ImageFormat::Qcow2),
        ("qcow2", "cluster_size=512", "", ImageFormat::Qcow2),
        ("qcow2", "cluster_size=2M", "", ImageFormat::Qcow2),
        ("qcow2", "compat=1.1", "-c", ImageFormat::Qcow2),
        ("qcow2", "cluster_size=4k", "-c", ImageFormat::Qcow2),
        ("vmdk", "subformat=monolithicSparse", "", ImageFormat::Vmdk),
        ("vmdk", "subformat=monolithicSparse,zeroed_grain=on", "", ImageFormat::Vmdk),
        ("vmdk", "subformat=monolithicFlat", "", ImageFormat::Vmdk),
        ("vmdk", "subformat=twoGbMaxExtentFlat", "", ImageFormat::Vmdk),
        ("vmdk", "subformat=twoGbMaxExtentSparse", "", ImageFormat::Vmdk),
        ("vmdk", "subformat=streamOptimized", "", ImageFormat::Vmdk),
    ];
    for (index, (format, options, flag, expected)) in cases.iter().enumerate() {
        // A folder of its own: VMDK makes several files. The name tells nothing of the format.
        let place = folder.path().join(format!("case{index}"));
        std::fs::create_dir(&place).unwrap();
        run(&place, &format!("qemu-img convert {flag} -f raw -O {format} -o {options} ../raw.img disk.bin"));
        let disk = check(&place.join("disk.bin"), &bytes);
        assert_eq!(disk.format(), *expected, "{format} {options}");
        std::fs::remove_dir_all(place).unwrap();
    }
}

#[test]
fn workers_read_side_by_side() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, bytes) = raw(folder.path(), 16 << 20);
    for (name, options) in [("a", "-O qcow2 -c"), ("b", "-O vhdx"), ("c", "-O vmdk -o subformat=streamOptimized")] {
        run(folder.path(), &format!("qemu-img convert -f raw {options} raw.img {name}"));
        let disk = Arc::new(DiskImage::open(&folder.path().join(name)).unwrap());
        std::thread::scope(|scope| {
            for worker in 0..4_usize {
                let (disk, bytes) = (Arc::clone(&disk), &bytes);
                scope.spawn(move || {
                    for round in 0..200_usize {
                        let at = (worker * 7_919 + round * 104_729 * 13) % (bytes.len() - 10_000);
                        let mut piece = vec![0; 10_000];
                        disk.read_exact_at(at as u64, &mut piece).unwrap();
                        assert!(piece == bytes[at..at + 10_000], "{name}: at {at}");
                    }
                });
            }
        });
    }
}

#[test]
fn images_of_ewfacquire_read_as_their_disk() {
    if !testkit::programs(&["ewfacquire"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, bytes) = raw(folder.path(), DISK_BYTES);
    let cases = [
        ("encase6", "deflate:best", 64, "1GiB"),
        ("encase5", "deflate:none", 128, "1GiB"),
        ("encase6", "deflate:fast", 16, "2MiB"),
        ("encase7", "deflate:empty-block", 64, "5MiB"),
    ];
    for (index, (format, method, sectors, size)) in cases.into_iter().enumerate() {
        run(
            folder.path(),
            &format!("ewfacquire -u -q -f {format} -c {method} -b {sectors} -S {size} -t case{index} raw.img"),
        );
        let disk = check(&folder.path().join(format!("case{index}.E01")), &bytes);
        assert_eq!(disk.format(), ImageFormat::Ewf);
    }
    let second = DiskImage::open(&folder.path().join("case2.E02"));
    assert!(matches!(second, Err(Error::Unsupported { .. })), "{second:?}");
    // Many small files; one of them is lost.
    run(folder.path(), "ewfacquire -u -q -f encase6 -c deflate:none -S 1MiB -t many raw.img");
    assert!(folder.path().join("many.E07").exists());
    check(&folder.path().join("many.E01"), &bytes);
    std::fs::remove_file(folder.path().join("many.E07")).unwrap();
    let missing = DiskImage::open(&folder.path().join("many.E01"));
    assert!(matches!(missing, Err(Error::Part { .. })), "{missing:?}");
}

#[test]
fn images_that_need_another_file_are_refused() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    raw(folder.path(), 1 << 20);
    run(folder.path(), "qemu-img convert -O vmdk raw.img base.vmdk");
    run(folder.path(), "qemu-img create -q -f qcow2 -F raw -b raw.img child.qcow2");
    run(folder.path(), "qemu-img create -q -f vmdk -F vmdk -b base.vmdk child.vmdk");
    run(folder.path(), "qemu-img create -q -f qcow2 -o data_file=data.raw external.qcow2 1M");
    run(folder.path(), "qemu-img create -q -f vdi box.vdi 1M");
    run(folder.path(), "qemu-img create -q -f qed old.qed 1M");
    run(
        folder.path(),
        "qemu-img create -q -f qcow2 --object secret,id=s,data=abc -o encrypt.format=luks,encrypt.key-secret=s luks.qcow2 1M",
    );
    for name in ["child.qcow2", "child.vmdk", "external.qcow2", "box.vdi", "old.qed", "luks.qcow2"] {
        let error = DiskImage::open(&folder.path().join(name)).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{name}: {error}");
    }
    // Features that the crate behind us does not read.
    for options in ["extended_l2=on", "compression_type=zstd"] {
        run(folder.path(), &format!("qemu-img create -q -f qcow2 -o {options} new.qcow2 1M"));
        let error = DiskImage::open(&folder.path().join("new.qcow2")).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{options}: {error}");
    }
}

#[test]
fn a_descriptor_names_no_file_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("secret"), [7; 1024]).unwrap();
    std::fs::write(folder.path().join("in/flat"), [8; 1024]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("../secret", folder.path().join("in/link")).unwrap();
    let path = folder.path().join("in/disk.vmdk");
    let open = |name: &str| {
        std::fs::write(&path, format!("# Disk DescriptorFile\nRW 2 FLAT \"{name}\" 0\n")).unwrap();
        DiskImage::open(&path)
    };
    let mut byte = [0];
    open("flat").unwrap().read_exact_at(1023, &mut byte).unwrap();
    assert_eq!(byte, [8]);
    for name in ["../secret", "/etc/passwd", "..", ".", "", "link", "C:\\x", "sub/x"] {
        assert!(matches!(open(name), Err(Error::Elsewhere { .. })), "{name}");
    }
    assert!(matches!(open("nothing"), Err(Error::Part { .. })));
}

#[test]
fn what_can_be_written_is_written_and_the_rest_refused() {
    if !testkit::programs(&["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (path, mut bytes) = raw(folder.path(), 4 << 20);
    run(folder.path(), "qemu-img convert -O vpc -o subformat=fixed,force_size=on raw.img fixed.vhd");
    let new = content(100_000, 5);
    for path in [&path, &folder.path().join("fixed.vhd")] {
        let disk = DiskImage::open_writable(path).unwrap();
        disk.write_all_at(12_345, &new).unwrap();
        disk.flush().unwrap();
        assert!(disk.write_all_at((4 << 20) - 1, &[1, 1]).is_err(), "nothing behind the end");
        assert!(matches!(DiskImage::open(path).unwrap().write_all_at(0, &[1]), Err(IoError::ReadOnly)));
    }
    bytes[12_345..112_345].copy_from_slice(&new);
    check(&path, &bytes);
    check(&folder.path().join("fixed.vhd"), &bytes);
    run(folder.path(), "qemu-img compare -f raw -F vpc raw.img fixed.vhd");
    for (format, name) in [("qcow2", "a"), ("vhdx", "b"), ("vmdk", "c"), ("vpc", "d")] {
        run(folder.path(), &format!("qemu-img convert -O {format} raw.img {name}"));
        assert!(matches!(DiskImage::open_writable(&folder.path().join(name)), Err(Error::ReadOnly { .. })), "{format}");
    }
}
