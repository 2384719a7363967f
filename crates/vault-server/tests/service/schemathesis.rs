//! The interface as another program understands it from the description: requests made up from the schemas, good and bad,
//! and every answer compared with what the description says.

use std::process::Command;

use vault_client::Method::Post;
use vault_protocol::routes;
use vault_server::Limits;

use crate::harness::Service;

/// What every answer is held against. Not among them: that whatever fits the schemas is accepted, since no schema knows
/// which codes, proofs and signatures are good.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth";
/// The same requests each time, unless another seed is asked for.
const SEED: &str = "20261125";
const SEED_VARIABLE: &str = "KEYHAVEN_SCHEMATHESIS_SEED";
/// Of one run; there are two.
const SECONDS: &str = "40";
const MANY: i64 = 1 << 40;

/// Nothing is refused for being asked often.
fn generous() -> Limits {
    Limits {
        sign_in_per_mail: MANY,
        sign_in_per_net: MANY,
        sign_up_per_net: MANY,
        totp_per_account: MANY,
        mailed_codes: MANY,
        user_codes: MANY,
        device_codes_per_net: MANY,
        ..Limits::default()
    }
}

/// Runs the judge and panics with its report when it finds fault.
fn judge(service: &Service, about: &str, more: &[&str]) {
    let Some(python) = testkit::judges_python("schemathesis") else { return };
    let seed = std::env::var(SEED_VARIABLE).unwrap_or_else(|_| SEED.to_owned());
    let program = std::path::Path::new(&python).with_file_name("st");
    let description = format!("{}{}", service.origin(), routes::OPENAPI);
    let mut judge = Command::new(program);
    judge.arg("run").arg(description).args(["--checks", CHECKS, "--seed", &seed, "--max-time", SECONDS]);
    judge.args([
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        "20",
        "--suppress-health-check",
        "all",
        "--no-color",
    ]);
    judge.args(["--generation-database", "none", "--warnings", "off"]).args(more).current_dir(service.folder.path());
    let output = judge.output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let tail = String::from_utf8_lossy(&output.stderr);
    // Nothing is found fault with where nothing was asked.
    let asked = report.contains("API Operations") || report.contains("Operations:");
    assert!(output.status.success() && asked, "{about}, seed {seed}:\n{report}\n{tail}");
}

#[test]
fn another_program_finds_no_fault_without_a_session() {
    let service = Service::with_limits(generous());
    judge(&service, "without a session", &[]);
}

#[test]
fn another_program_finds_no_fault_with_a_session() {
    let service = Service::with_limits(generous());
    let owner = service.enrolled("ada@example.org");
    owner.save_one();
    let session = format!("Authorization: Bearer {}", owner.token());
    judge(&service, "with a session", &["--header", &session, "--exclude-path", routes::LOGOUT]);
    // It was a session until the end.
    let answer = service.raw(Post, routes::LOGOUT, Some(&owner.token()), &serde_json::Value::Null);
    assert_eq!(answer.status, 200);
}
