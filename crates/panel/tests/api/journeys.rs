//! What people do in the panel, from the first click to the last.

use serde_json::{Value, json};

use crate::browser::{Running, plain_image};

/// Takes a key in hand for a drive, saves it to a file, and begins; gives the job and the digits.
fn encrypt(running: &Running, drive: &str, keys: &std::path::Path) -> (Value, String) {
    let request = json!({ "intent": "encrypt", "drive": drive, "method": "xts_aes128", "password": "correct horse" });
    let hand = running.post("/api/keys", &request).good();
    let id = hand["id"].as_str().unwrap();
    let at = |what: &str| format!("/api/keys/{id}/{what}");
    assert_eq!(running.post(&at("go"), &json!({})).code(), "panel.not_backed_up");
    assert!(!running.get("/api/keys").good().to_string().contains("digits"));
    let digits = running.post(&at("show"), &json!({})).good()["digits"].as_str().unwrap().to_owned();
    // A page that nobody has read back is not paper.
    assert_eq!(running.post(&at("confirm"), &json!({ "last_group": "123456" })).code(), "panel.wrong_state");
    let sheet = running.post(&at("sheet"), &json!({ "paper": "a4" }));
    assert!(sheet.body.starts_with(b"%PDF"));
    assert_eq!(running.post(&at("confirm"), &json!({ "last_group": "12345" })).code(), "panel.wrong_digits");
    assert_eq!(running.post(&at("go"), &json!({})).code(), "panel.not_backed_up");
    let saved = running.post(&at("file"), &json!({ "path": keys })).good();
    assert_eq!(saved["confirmed"], true);
    let job = running.post(&at("go"), &json!({})).good()["job"].clone();
    assert_eq!(running.post(&at("go"), &json!({})).code(), "panel.not_found", "once");
    (job, digits)
}

#[test]
fn an_image_is_encrypted_where_it_lies_browsed_and_decrypted() {
    if !testkit::programs(&["mkfs.fat", "mcopy"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let (image, content) = plain_image(folder.path(), "stick.img", 20 << 20);
    let running = Running::entered(folder.path());
    let drive = running.choose(&image);
    assert_eq!((drive["state"].as_str(), drive["file_system"].as_str()), (Some("plain"), Some("FAT32")));
    let id = drive["id"].as_str().unwrap().to_owned();
    let (job, digits) = encrypt(&running, &id, &keys);
    let job = running.ended(job["id"].as_str().unwrap());
    assert_eq!(job["state"], "done", "{job}");

    let at = |what: &str| format!("/api/drives/{id}/{what}");
    assert_eq!(running.get(&format!("/api/drives/{id}")).good()["state"], "encrypted");
    assert_eq!(running.post(&at("files"), &json!({ "path": "" })).code(), "panel.locked");
    let wrong = json!({ "secret": { "kind": "password", "password": "wrong wrong" } });
    assert_eq!(running.post(&at("unlock"), &wrong).code(), "drive.wrong_key");
    let right = json!({ "secret": { "kind": "recovery_key", "digits": digits } });
    assert_eq!(running.post(&at("unlock"), &right).good()["unlocked"], true);
    let files = running.post(&at("files"), &json!({ "path": "Folder" })).good();
    let name = files["entries"][0]["name"].as_str().unwrap().to_owned();
    let path = format!("Folder/{name}");
    let whole = running.download(&id, &[&path]);
    assert!(whole.body == content, "downloaded as it was put in");
    assert!(whole.header("content-disposition").unwrap().starts_with("attachment; filename="));
    let ready = running.post(&at("download"), &json!({ "paths": [path] })).good();
    let address = format!("/{}", ready["address"].as_str().unwrap());
    let part = running.get_with(&address, &[("Range", "bytes=1000-1999")]);
    assert_eq!(part.status, 206);
    assert!(part.body == content[1000..2000]);
    assert_eq!(running.get_with(&address, &[("Range", "bytes=99999999-")]).status, 416);
    let archive = running.download(&id, &["Folder"]);
    assert!(archive.body.starts_with(b"PK") && archive.body.len() > content.len());
    assert!(archive.body.windows(64).any(|some| some == &content[4096..4160]), "stored as it is");
    for outside in ["../../etc/passwd", "/etc/passwd", "..\\..\\etc\\passwd", "Folder/../../x"] {
        let refused = running.post(&at("download"), &json!({ "paths": [outside] }));
        assert!(refused.status >= 400, "{outside}");
    }
    // A download that may still be asked for the rest keeps nobody from changing the keys.
    let again = json!({ "secret": { "kind": "recovery_key", "digits": digits } });
    running.post(&at("unlock"), &again).good();
    running.post(&at("files"), &json!({ "path": "Folder" })).good();
    let ready = running.post(&at("download"), &json!({ "paths": [path] })).good();
    let address = format!("/{}", ready["address"].as_str().unwrap());
    assert_eq!(running.get_with(&address, &[("Range", "bytes=0-9")]).status, 206);
    running.post(&at("unlock"), &again).good();
    running.post(&at("password"), &json!({ "password": "correct horse" })).good();
    running.post(&at("lock"), &json!({})).good();
    assert_eq!(running.get(&address).code(), "panel.not_found", "locked: nothing is given any longer");

    // Off again, with the password.
    let off = json!({ "direction": "decrypt", "secret": { "kind": "password", "password": "correct horse" } });
    let job = running.post(&at("convert"), &off).good();
    assert_eq!(running.ended(job["id"].as_str().unwrap())["state"], "done");
    assert_eq!(running.get(&format!("/api/drives/{id}")).good()["state"], "plain");
    running.end();
}

#[test]
fn work_pauses_with_the_program_and_goes_on_after_it() {
    if !testkit::programs(&["mkfs.fat", "mcopy"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let (image, content) = plain_image(folder.path(), "stick.img", 60 << 20);
    let running = Running::entered(folder.path());
    let id = running.choose(&image)["id"].as_str().unwrap().to_owned();
    let (job, digits) = encrypt(&running, &id, &keys);
    // A second one on the same drive is refused while this one runs.
    let another = json!({ "intent": "encrypt", "drive": id, "method": "xts_aes128" });
    let refused = running.post("/api/keys", &another);
    let still_runs = running.get("/api/jobs").good()["jobs"][0]["state"] == "running";
    if still_runs {
        assert_eq!(refused.code(), "panel.busy");
    }
    assert_eq!(job["kind"], "encrypt");
    running.end();

    let running = Running::entered(folder.path());
    let drive = running.get(&format!("/api/drives/{id}")).good();
    if drive["state"] == "encrypting" {
        assert!(drive["conversion"]["total_bytes"].as_u64().unwrap() > 0);
        let convert = format!("/api/drives/{id}/convert");
        assert_eq!(running.post(&convert, &json!({ "direction": "encrypt" })).code(), "panel.secret_needed");
        let on = json!({ "direction": "encrypt", "secret": { "kind": "recovery_key", "digits": digits } });
        let job = running.post(&convert, &on).good();
        assert_eq!(running.ended(job["id"].as_str().unwrap())["state"], "done");
    }
    let right = json!({ "secret": { "kind": "recovery_key", "digits": digits } });
    running.post(&format!("/api/drives/{id}/unlock"), &right).good();
    let files = running.post(&format!("/api/drives/{id}/files"), &json!({ "path": "Folder" })).good();
    let path = format!("Folder/{}", files["entries"][0]["name"].as_str().unwrap());
    assert!(running.download(&id, &[&path]).body == content);
    running.end();
}

#[test]
fn a_new_image_its_keys_and_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let running = Running::entered(folder.path());
    let path = folder.path().join("safe.img");
    let request = json!({
        "intent": "create", "path": path, "bytes": 64 << 20, "method": "xts_aes256", "file_system": "fat32", "label": "SAFE",
        "full": false,
    });
    let hand = running.post("/api/keys", &request).good();
    assert!(!path.exists(), "nothing is made before the key is saved");
    let hand_at = |hand: &Value, what: &str| format!("/api/keys/{}/{what}", hand["id"].as_str().unwrap());
    let old = running.post(&hand_at(&hand, "show"), &json!({})).good()["digits"].clone();
    running.post(&hand_at(&hand, "file"), &json!({ "path": keys })).good();
    let job = running.post(&hand_at(&hand, "go"), &json!({})).good()["job"].clone();
    assert_eq!(running.ended(job["id"].as_str().unwrap())["state"], "done");
    let drives = running.get("/api/drives").good();
    let id = drives["drives"][0]["id"].as_str().unwrap().to_owned();
    let at = |what: &str| format!("/api/drives/{id}/{what}");
    let secret = json!({ "kind": "recovery_key", "digits": old });
    running.post(&at("unlock"), &json!({ "secret": secret })).good();
    assert_eq!(running.post(&at("password"), &json!({ "password": "short" })).code(), "panel.short_password");
    let drive = running.post(&at("password"), &json!({ "password": "long enough" })).good();
    assert_eq!(drive["protectors"].as_array().unwrap().len(), 2);
    assert_eq!(running.post(&at("suspend"), &json!({})).good()["state"], "suspended");
    assert_eq!(running.post(&at("unsuspend"), &json!({})).good()["state"], "encrypted");

    let hand = running.post("/api/keys", &json!({ "intent": "rotate", "drive": id })).good();
    assert_eq!(running.post(&hand_at(&hand, "go"), &json!({})).code(), "panel.not_backed_up");
    assert_eq!(running.get(&format!("/api/drives/{id}")).good()["rotation_unfinished"], true);
    let new = running.post(&hand_at(&hand, "show"), &json!({})).good()["digits"].clone();
    running.post(&hand_at(&hand, "file"), &json!({ "path": keys })).good();
    running.post(&hand_at(&hand, "go"), &json!({})).good();
    running.post(&at("lock"), &json!({})).good();
    let refused = running.post(&at("unlock"), &json!({ "secret": secret }));
    assert_eq!(refused.code(), "drive.wrong_key", "the old key is gone");
    running.post(&at("unlock"), &json!({ "secret": { "kind": "recovery_key", "digits": new } })).good();
    running.end();
}
