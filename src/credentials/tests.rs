use std::os::unix::ffi::OsStringExt as _;

use secrecy::ExposeSecret as _;

use super::*;

fn custom(label: &str) -> Need {
    Need { label: label.parse().unwrap(), kind: AppKind::Custom, tenants: 1 }
}

fn store(label: &str, tenants: usize) -> Need {
    Need { label: label.parse().unwrap(), kind: AppKind::Store, tenants }
}

/// What was found, one word an app; or the problems, sentence and hint on a line.
fn check(vars: &[(&str, &str)], needs: &[Need], apps: usize) -> String {
    let env = |name: &str| vars.iter().find(|(var, _)| *var == name).map(|(_, value)| OsString::from(value));
    let show = |source: &SecretSource| match source {
        SecretSource::Value(value) => value.expose_secret().to_owned(),
        SecretSource::File(path) => format!("@{}", path.display()),
    };
    match find(&env, needs, apps) {
        Ok(found) => found
            .iter()
            .map(|(label, credential)| match credential {
                Credential::Secret(secret) => format!("{label}={}", show(secret)),
                Credential::SecretAndTicket { secret, ticket } => {
                    format!("{label}={}+{}", show(secret), show(ticket))
                }
                Credential::Token(token) => format!("{label}=token:{}", show(token)),
            })
            .collect::<Vec<_>>()
            .join(" "),
        Err(problems) => problems
            .iter()
            .map(|problem| format!("{problem}; {}", problem.hint()))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

#[test]
fn what_is_named_is_found() {
    for (vars, needs, apps, found) in [
        (&[("LARKSUB_APP_SECRET", "s")][..], vec![custom("hr")], 1, "hr=s"),
        (&[("LARKSUB_APP_SECRET_HR", "s")], vec![custom("hr")], 1, "hr=s"),
        (&[("LARKSUB_APP_SECRET_HR", "s"), ("LARKSUB_APP_SECRET", "other")], vec![custom("hr")], 1, "hr=s"),
        (&[("LARKSUB_APP_SECRET_HR", "s"), ("LARKSUB_APP_SECRET", "other")], vec![custom("hr")], 2, "hr=s"),
        (&[("LARKSUB_APP_SECRET_HR_EU", "s")], vec![custom("hr-eu")], 2, "hr-eu=s"),
        (&[("LARKSUB_APP_SECRET_HR_FILE", "/s")], vec![custom("hr")], 2, "hr=@/s"),
        (&[("LARKSUB_APP_SECRET_FILE", "/s")], vec![custom("hr")], 1, "hr=@/s"),
        (&[("LARKSUB_TENANT_ACCESS_TOKEN_HR", "t")], vec![custom("hr")], 1, "hr=token:t"),
        (&[("LARKSUB_TENANT_ACCESS_TOKEN_HR_FILE", "t")], vec![custom("hr")], 1, "hr=token:@t"),
        (&[("LARKSUB_TENANT_ACCESS_TOKEN_ISV", "t")], vec![store("isv", 1)], 1, "isv=token:t"),
        (&[("LARKSUB_APP_SECRET", "s"), ("LARKSUB_APP_TICKET", "k")], vec![store("isv", 9)], 1, "isv=s+k"),
        (
            &[
                ("LARKSUB_APP_SECRET_ISV", "s"),
                ("LARKSUB_APP_TICKET_ISV_FILE", "k"),
                ("LARKSUB_APP_SECRET_HR", "h"),
            ],
            vec![store("isv", 2), custom("hr")],
            3,
            "hr=h isv=s+@k",
        ),
        // No calls, no credential, no complaint.
        (&[("LARKSUB_TENANT_ACCESS_TOKEN", "t"), ("LARKSUB_APP_SECRET", "")], vec![], 2, ""),
    ] {
        assert_eq!(check(vars, &needs, apps), found, "{vars:?}");
    }
}

#[test]
fn what_could_mean_two_things_is_refused() {
    for (vars, needs, apps, problem) in [
        (
            &[][..],
            vec![custom("hr")],
            1,
            "no credential for custom app `hr`; set LARKSUB_APP_SECRET_HR, or LARKSUB_APP_SECRET_HR_FILE, or \
             LARKSUB_APP_SECRET, or LARKSUB_TENANT_ACCESS_TOKEN_HR",
        ),
        (
            &[],
            vec![store("isv", 2)],
            2,
            "no credential for store app `isv`; set LARKSUB_APP_SECRET_ISV with LARKSUB_APP_TICKET_ISV, or \
             LARKSUB_APP_SECRET_ISV_FILE with LARKSUB_APP_TICKET_ISV",
        ),
        (
            &[("LARKSUB_APP_SECRET_ISV", "s")],
            vec![store("isv", 2)],
            2,
            "no app ticket for store app `isv`; set LARKSUB_APP_TICKET_ISV, or LARKSUB_APP_TICKET_ISV_FILE",
        ),
        (
            &[("LARKSUB_APP_SECRET_HR", "s"), ("LARKSUB_APP_SECRET_HR_FILE", "f")],
            vec![custom("hr")],
            1,
            "LARKSUB_APP_SECRET_HR and LARKSUB_APP_SECRET_HR_FILE are both set (app `hr`); unset \
             LARKSUB_APP_SECRET_HR or LARKSUB_APP_SECRET_HR_FILE",
        ),
        (
            &[("LARKSUB_APP_SECRET_HR", "")],
            vec![custom("hr")],
            1,
            "LARKSUB_APP_SECRET_HR is empty (app `hr`); give LARKSUB_APP_SECRET_HR a value, or unset it; in a \
             pipeline, check that this job may read the secret",
        ),
        (
            &[("LARKSUB_APP_SECRET", "s")],
            vec![custom("hr")],
            2,
            "LARKSUB_APP_SECRET does not say which of the manifest's 2 apps it belongs to (app `hr`); it could reach \
             the wrong app: set LARKSUB_APP_SECRET_HR and unset LARKSUB_APP_SECRET",
        ),
        (
            &[("LARKSUB_TENANT_ACCESS_TOKEN_FILE", "t")],
            vec![custom("hr")],
            1,
            "LARKSUB_TENANT_ACCESS_TOKEN_FILE does not say which app it belongs to (app `hr`); it could reach the \
             wrong app: set LARKSUB_TENANT_ACCESS_TOKEN_HR and unset LARKSUB_TENANT_ACCESS_TOKEN_FILE",
        ),
        (
            &[("LARKSUB_TENANT_ACCESS_TOKEN_HR", "t"), ("LARKSUB_APP_SECRET_FILE", "s")],
            vec![custom("hr")],
            1,
            "LARKSUB_TENANT_ACCESS_TOKEN_HR and LARKSUB_APP_SECRET_FILE are both set (app `hr`); unset \
             LARKSUB_TENANT_ACCESS_TOKEN_HR, and tokens are obtained with the secret; or unset LARKSUB_APP_SECRET_FILE",
        ),
        (
            &[("LARKSUB_TENANT_ACCESS_TOKEN_ISV", "t")],
            vec![store("isv", 3)],
            1,
            "LARKSUB_TENANT_ACCESS_TOKEN_ISV is good for one tenant, and the calls of app `isv` touch 3; unset \
             LARKSUB_TENANT_ACCESS_TOKEN_ISV and set the app's secret and ticket, with which each tenant gets its own token",
        ),
    ] {
        assert_eq!(check(vars, &needs, apps), problem);
    }
}

#[test]
fn every_problem_is_reported_at_once_and_no_value_is_shown() {
    let vars = [
        ("LARKSUB_APP_SECRET_A", "s3ntinel"),
        ("LARKSUB_APP_SECRET_A_FILE", "/s3ntinel"),
        ("LARKSUB_TENANT_ACCESS_TOKEN_A", ""),
        ("LARKSUB_APP_SECRET_B", "s3ntinel"),
        ("LARKSUB_APP_TICKET", "s3ntinel"),
    ];
    let shown = check(&vars, &[custom("a"), store("b", 2), custom("c")], 3);
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(!shown.contains("s3ntinel"), "{shown}");

    let source = SecretSource::Value("s3ntinel".to_owned().into());
    assert!(!format!("{:?}", Credential::Token(source)).contains("s3ntinel"));

    let latin =
        |name: &str| (name == "LARKSUB_APP_SECRET_HR").then(|| OsString::from_vec(b"s3ntinel\xff".to_vec()));
    let problems = find(&latin, &[custom("hr")], 1).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(!format!("{problems:?} {}", problems[0]).contains("s3ntinel"));
    assert!(matches!(problems[0].fault, CredentialFault::NotUtf8 { .. }));
}

#[test]
fn a_file_is_read_without_its_newline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let source = SecretSource::File(path.clone());
    for (bytes, secret) in [
        (&b"s"[..], Some("s")),
        (b"s\n", Some("s")),
        (b"s\r\n", Some("s")),
        (b"s\n\n", None),
        (b"s\nt\n", None),
        (b"s\x07", None),
        (b" s", Some(" s")),
        (b"", None),
        (b"\n", None),
        (b"\r\n", None),
        (b"\xff", None),
        (&[b'x'; 65537], None),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let read = source.read();
        assert_eq!(read.as_ref().ok().map(|secret| secret.expose_secret()), secret, "{bytes:.20?}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = source.read().unwrap_err();
    assert_eq!(error.path, path);
    assert!(error.to_string().contains("No such file"), "{error}");
    assert!(SecretSource::File(folder.path().to_path_buf()).read().is_err());
}
