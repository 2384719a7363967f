//! `ls`, `tree`, `find` and `cat` on real volumes, and on damaged ones.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Bench, Ran, pattern};
use crate::volumes::{Inside, junction, make, model, open_raw, raw, tool};

const PASSWORD: &str = "--password-file password";

fn entries(ran: &Ran) -> Vec<Value> {
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    document["entries"].as_array().unwrap().clone()
}

fn lines(ran: &Ran) -> Vec<String> {
    ran.text().lines().map(str::to_owned).collect()
}

/// A volume of NTFS with everything that is special.
fn special(bench: &Bench) -> bool {
    bench.file("model/docs/letter.txt", b"hello");
    bench.file("model/docs/deep/large.bin", &pattern(2_000_000));
    bench.file("model/docs/deep/Gr\u{f6}\u{df}e.TXT", b"size");
    make(bench, Inside::Ntfs, |folder| {
        fs::write(folder.join("docs/letter.txt:notes"), b"a stream").unwrap();
        fs::hard_link(folder.join("docs/letter.txt"), folder.join("docs/deep/again")).unwrap();
        std::os::unix::fs::symlink("../letter.txt", folder.join("docs/deep/soft")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("docs/away")).unwrap();
        junction(&folder.join("docs/loop"), r"C:\docs");
        fs::write(folder.join("docs/a\u{1b}[2J\nb"), b"x").unwrap();
        tool(
            "setfattr",
            &["-h", "-n", "system.ntfs_attrib_be", "-v", "0x00000007"],
            &[&folder.join("docs/letter.txt")],
        );
        tool("touch", &["-h", "-d", "1960-07-20T01:02:03Z"], &[&folder.join("docs/deep/large.bin")]);
    })
}

#[test]
fn a_long_list_tells_what_ntfs_knows() {
    let bench = Bench::new();
    if !special(&bench) {
        return;
    }
    let listed = lines(&bench.run(&format!("ls v.img docs -l --streams {PASSWORD}")));
    let line =
        |name: &str| listed.iter().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {listed:#?}"));
    assert!(line("  letter.txt").starts_with("-rhs-----  2               5  20"), "{listed:#?}");
    assert!(line("letter.txt:notes").trim_start().starts_with("8  "), "{listed:#?}");
    assert!(line("loop").starts_with('j') && line("loop").ends_with(r"loop -> C:\docs"), "{listed:#?}");
    assert!(line("away").ends_with("away -> /etc/passwd") && line("deep").starts_with('d'), "{listed:#?}");
    assert!(line(r"a\u{1b}[2J\u{a}b").contains("               1  20"), "{listed:#?}");
    assert_eq!(listed.len(), 6, "{listed:#?}");
    // Every column begins at the same place.
    let starts = |name: &str| line(name).find(name).unwrap();
    assert!(["letter.txt:notes", "loop", "deep/"].into_iter().all(|name| starts(name) == starts("  letter.txt") + 2));

    let ran = bench.run(&format!("ls v.img docs/deep -l --sort date --created --human {PASSWORD}"));
    let last = lines(&ran).pop().unwrap();
    assert!(last.contains("1.9 MiB  1960-07-20 01:02:03  20"), "{last}");
    let ran = bench.run(&format!("ls v.img docs/deep --sort size {PASSWORD}"));
    assert!(lines(&ran)[0].ends_with("large.bin"));
    let ran = bench.run(&format!("ls v.img docs/deep --sort size --reverse {PASSWORD}"));
    assert!(lines(&ran).pop().unwrap().ends_with("large.bin"));

    let all = entries(&bench.run(&format!("ls v.img -r --json {PASSWORD}")));
    let entry =
        |path: &str| all.iter().find(|entry| entry["path"] == path).unwrap_or_else(|| panic!("{path}: {all:#?}"));
    let (letter, again) = (entry("/docs/letter.txt"), entry("/docs/deep/again"));
    assert_eq!((letter["id"].as_u64(), letter["links"].as_u64()), (again["id"].as_u64(), Some(2)));
    assert_eq!(letter["attributes"].to_string(), r#"["read-only","hidden","system"]"#);
    assert_eq!(letter["streams"][0].to_string(), r#"{"bytes":8,"name":"notes"}"#);
    assert_eq!(entry("/docs/deep/soft")["target"], "../letter.txt");
    assert_eq!(entry("/docs/deep/large.bin")["modified"], "1960-07-20T01:02:03Z");
    assert!(entry("/docs/deep/large.bin")["allocated_bytes"].as_u64().unwrap() >= 2_000_000);

    assert_eq!(
        bench.run(&format!("cat v.img docs/letter.txt:notes docs/letter.txt {PASSWORD}")).text(),
        "a streamhello"
    );
    let part = bench.run(&format!("cat v.img docs/deep/large.bin --offset 1M --length 5000 {PASSWORD}"));
    assert!(part.stdout == pattern(2_000_000)[1 << 20..(1 << 20) + 5000]);
    let part = bench.run(&format!("cat v.img docs/deep/large.bin --offset 1999990 {PASSWORD}"));
    assert!(part.stdout == pattern(2_000_000)[1_999_990..]);
    assert!(bench.run(&format!("cat v.img docs/letter.txt --offset 9M {PASSWORD}")).text().is_empty());
}

#[test]
fn a_tree_is_drawn_and_a_loop_is_not_followed() {
    let bench = Bench::new();
    if !special(&bench) {
        return;
    }
    let drawn = bench.run(&format!("tree v.img DOCS --sizes {PASSWORD}")).text();
    let expected = r"/docs
├── a\u{1b}[2J\u{a}b  (1 byte)
├── away -> /etc/passwd
├── deep/
│   ├── again  (5 bytes)
│   ├── Größe.TXT  (4 bytes)
│   ├── large.bin  (1.9 MiB)
│   └── soft -> ../letter.txt
├── letter.txt  (5 bytes)
└── loop -> C:\docs

1 folder, 8 files, 1.9 MiB
";
    assert_eq!(drawn, expected);
    assert_eq!(
        bench.run(&format!("tree v.img --dirs-only {PASSWORD}")).text(),
        "/\n└── docs/\n    └── deep/\n\n2 folders\n"
    );
    let shallow = bench.run(&format!("tree v.img --depth 1 {PASSWORD}")).text();
    assert_eq!(shallow, "/\n└── docs/\n\n1 folder, 0 files, 0 bytes\n");
    let ran = bench.run(&format!("tree v.img --json {PASSWORD}"));
    let document = ran.json();
    assert_eq!((document["folders"].as_u64(), document["files"].as_u64()), (Some(2), Some(8)));
    // The same entries as `ls` has, in another order.
    let by_path = |mut entries: Vec<Value>| {
        entries.sort_by_key(|entry| entry["path"].to_string());
        entries
    };
    let listed = bench.run(&format!("ls v.img -r --json {PASSWORD}"));
    assert_eq!(by_path(entries(&ran)), by_path(entries(&listed)));
    let found = bench.run(&format!("find v.img --json {PASSWORD}"));
    assert_eq!(by_path(entries(&found)), by_path(entries(&listed)));
}

#[test]
fn files_are_found_by_what_is_known_of_them() {
    let bench = Bench::new();
    if !special(&bench) {
        return;
    }
    let found = |words: &str| {
        let mut paths = lines(&bench.run(&format!("find v.img {words} {PASSWORD}")));
        paths.sort();
        paths.join(" ")
    };
    assert_eq!(found("--name *.txt"), "/docs/deep/Größe.TXT /docs/letter.txt");
    assert_eq!(found("--name GRÖß?.[t]xt"), "/docs/deep/Größe.TXT");
    assert_eq!(found("--path docs/*.txt"), "/docs/letter.txt");
    assert_eq!(found("--path DOCS/**/*.txt"), "/docs/deep/Größe.TXT /docs/letter.txt");
    assert_eq!(found(r"--path \docs\*\large*"), "/docs/deep/large.bin");
    assert_eq!(found("--type d"), "/docs /docs/deep");
    assert_eq!(found("--type l"), "/docs/away /docs/deep/soft /docs/loop");
    assert_eq!(found("docs/DEEP --type d,l"), "/docs/deep/soft");
    assert_eq!(found("--larger 5"), "/docs/deep/large.bin");
    assert_eq!(found("--larger 4 --smaller 1K"), "/docs/deep/again /docs/letter.txt");
    assert_eq!(found("--older 1970-01-01"), "/docs/deep/large.bin");
    assert_eq!(found("--type f --newer 2020-01-01 --name l*"), "/docs/letter.txt");
    let raw = bench.run(&format!("find v.img --name a?* --type f -0 {PASSWORD}"));
    assert_eq!(raw.stdout, b"/docs/a\x1b[2J\nb\0/docs/deep/again\0");
    assert_eq!(found("--name a?[[]*"), r"/docs/a\u{1b}[2J\u{a}b");

    let none = bench.run(&format!("find v.img --name nothing {PASSWORD}"));
    assert!(none.refused(1).contains("nothing was found") && none.stdout.is_empty());
    let none = bench.run(&format!("find v.img --name nothing --json {PASSWORD}"));
    assert_eq!((none.status, entries(&none).len()), (1, 0));
    for words in ["--name a/b", "--name [", "--newer yesterday", "--type x", "--larger many", "--null --json"] {
        assert_eq!(bench.run(&format!("find v.img {words} {PASSWORD}")).status, 2, "{words}");
    }
}

#[test]
fn what_is_not_there_or_not_allowed_is_said_by_each() {
    let bench = Bench::with_drive();
    for command in ["ls", "tree", "find", "cat", "tar"] {
        let run = |path: &str| bench.run(&format!("{command} d.img {path} {PASSWORD}"));
        assert!(run("tree/../..").refused(1).contains("not allowed"), "{command}");
        assert!(run(r"..\..\etc\passwd").refused(1).contains("not allowed"), "{command}");
        let ran = run("tree/nothing");
        assert!(ran.refused(1).contains("does not exist") && ran.stdout.is_empty(), "{command}");
        assert!(run("tree/hello.txt/x").refused(1).contains("not a directory"), "{command}");
    }
    for command in ["tree", "find"] {
        let ran = bench.run(&format!("{command} d.img tree/hello.txt {PASSWORD}"));
        assert!(ran.refused(1).contains("not a directory"), "{command}");
    }
}

/// A folder that holds itself, as a damaged volume can have it, ends the way; what is too deep is named.
#[test]
fn trees_without_end_end() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("model")).unwrap();
    let deep = "d/".repeat(70);
    let made = make(&bench, Inside::Ntfs, |folder| {
        fs::create_dir_all(folder.join(&deep)).unwrap();
        fs::create_dir_all(folder.join("b")).unwrap();
        fs::write(folder.join("b/file"), b"x").unwrap();
    });
    if !made {
        return;
    }
    for command in ["ls -r", "tree", "find", "tar"] {
        let ran = bench.run(&format!("{command} v.img {PASSWORD}"));
        let told = ran.refused(1);
        assert!(told.contains("more than 64 levels deep") && told.contains("named above"), "{command}: {told}");
        assert!(ran.stdout.windows(6).any(|window| window == b"b/file") || command == "tree", "{command}");
    }
}

/// Where in the volume the record of the file with this content is, which is stored inside the record.
fn record_of(volume: &Path, content: &[u8]) -> u64 {
    let bytes = fs::read(volume).unwrap();
    let records = bytes.chunks(1024).enumerate().filter(|(_, record)| record.starts_with(b"FILE"));
    let mut found = records.filter(|(_, record)| record.windows(content.len()).any(|window| window == content));
    found.next().unwrap().0 as u64 * 1024
}

#[test]
fn damaged_records_are_named_and_the_rest_is_listed() {
    let bench = Bench::new();
    for index in 0..20 {
        bench.file(&format!("model/folder/file {index}"), format!("content number {index}, in the record").as_bytes());
    }
    if !make(&bench, Inside::Ntfs, |_| {}) {
        return;
    }
    open_raw(&bench, |volume| {
        let file = OpenOptions::new().read(true).write(true).open(volume).unwrap();
        for number in [7, 13] {
            file.write_all_at(b"BAAD", record_of(volume, format!("content number {number},").as_bytes())).unwrap();
        }
    });
    for command in ["ls v.img folder", "ls v.img -r --json", "tree v.img", "find v.img --name file*", "tar v.img"] {
        let ran = bench.run(&format!("{command} {PASSWORD}"));
        let told = &ran.stderr;
        assert_eq!(ran.status, 1, "{command}: {told}");
        assert!(
            told.contains("file 7") && told.contains("file 13") && told.contains("named above"),
            "{command}: {told}"
        );
        let out = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(
            (0..20).filter(|number| ![7, 13].contains(number)).all(|number| out.contains(&format!("file {number}")))
        );
    }
    let ran = bench.run_with(&format!("cat v.img {PASSWORD}"), &[OsStr::new("folder/file 8")]);
    assert_eq!(ran.text(), "content number 8, in the record");
    bench.run_with(&format!("cat v.img {PASSWORD}"), &[OsStr::new("folder/file 7")]).refused(1);
}

#[test]
fn other_file_systems_are_named_with_the_way_in() {
    let bench = Bench::new();
    if !crate::running::fuse() || !testkit::programs(&["mke2fs"]) {
        return;
    }
    raw(&bench, |volume| drop(tool("mke2fs", &["-q", "-F", "-b", "4096"], &[volume, Path::new("7000")])));
    for command in ["ls", "tree", "find", "tar"] {
        let ran = bench.run(&format!("{command} v.img {PASSWORD}"));
        let told = ran.refused(1);
        assert!(told.contains("ext2, ext3 or ext4"), "{told}");
        assert!(
            told.contains("keyhaven mount v.img FOLDER --raw") && told.contains("keyhaven decrypt v.img"),
            "{told}"
        );
    }
    bench.run("create z.img --size 64M --filesystem none --password-file password --recovery-out z.key").text();
    assert!(bench.run("ls z.img --password-file password").refused(1).contains("nothing but zeros"));
}

/// Everything that others put into a volume comes out as it went in, by each way.
#[test]
fn real_volumes_come_out_by_every_way_as_they_went_in() {
    for inside in [Inside::Ntfs, Inside::ExFat, Inside::Fat32] {
        let bench = Bench::new();
        model(&bench, inside);
        if !make(&bench, inside, |_| {}) {
            return;
        }
        let list =
            tool("sh", &["-c", r#"cd "$0" && find . -type f | cut -c2- | LC_ALL=C sort"#], &[&bench.path("model")]);
        let files: Vec<&str> = list.lines().collect();
        assert!(files.len() > 300);

        // ls and find: names, sizes, dates.
        let listed = entries(&bench.run(&format!("ls v.img -r --json {PASSWORD}")));
        let ours: Vec<&Value> = listed.iter().filter(|entry| entry["kind"] == "file").collect();
        assert_eq!(ours.len(), files.len(), "{inside:?}");
        for entry in &ours {
            let source = bench.path("model").join(entry["path"].as_str().unwrap().trim_start_matches('/'));
            assert_eq!(
                entry["bytes"].as_u64().unwrap(),
                source.metadata().map_or(u64::MAX, |data| data.len()),
                "{inside:?}: {source:?}"
            );
        }
        let dated = ours.iter().find(|entry| entry["name"] == "4096 bytes.bin").unwrap();
        assert_eq!(dated["modified"], "2019-03-04T05:06:08Z", "{inside:?}");
        let mut found = lines(&bench.run(&format!("find v.img --type f {PASSWORD}")));
        found.sort();
        assert_eq!(found, files, "{inside:?}");

        // cat: one after the other, and all in one.
        let source = |path: &str| fs::read(bench.path("model").join(path.trim_start_matches('/'))).unwrap();
        let arguments: Vec<&OsStr> = files.iter().map(OsStr::new).collect();
        let all = bench.run_with(&format!("cat v.img {PASSWORD}"), &arguments);
        assert!(all.status == 0 && all.stdout == files.iter().flat_map(|path| source(path)).collect::<Vec<u8>>());
        for path in files.iter().filter(|path| path.starts_with("/sizes")) {
            let one = bench.run_with(&format!("cat v.img {PASSWORD}"), &[OsStr::new(path)]);
            assert!(one.status == 0 && one.stdout == source(path), "{inside:?}: {path}");
        }

        // cp and tar: unpacked by another program, every file by its hash.
        bench.run(&format!("cp v.img / copied {PASSWORD}")).text();
        fs::write(bench.path("all.tar"), bench.run(&format!("tar v.img {PASSWORD}")).stdout).unwrap();
        fs::create_dir(bench.path("unpacked")).unwrap();
        tool("tar", &["-xf"], &[&bench.path("all.tar"), Path::new("-C"), &bench.path("unpacked")]);
        let hashes = |folder: &str| {
            let script = r#"cd "$0" && find . -type d -not -name '.*' | LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum"#;
            tool("sh", &["-c", script], &[&bench.path(folder)])
        };
        let expected = hashes("model");
        assert!(expected.lines().filter(|line| line.len() > 64).count() > 300);
        assert_eq!(hashes("copied"), expected, "{inside:?}");
        assert_eq!(hashes("unpacked"), expected, "{inside:?}");
    }
}
