use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: SandboxArgs,
}

fn parse(args: &[&str]) -> Result<SandboxArgs, String> {
    let words = ["sandbox"].iter().chain(args);
    Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| error.to_string())
}

#[test]
fn the_flags_become_a_config() {
    let args = [
        "--app=cli_a:s",
        "--limit=7",
        "--window=bucket",
        "--latency=1ms..2ms",
        "--fault=A=slow:1",
        "--fault=B=5xx",
        "--window-seconds=5",
    ];
    let config = config(&parse(&args).unwrap(), Vec::new()).unwrap();
    assert_eq!((config.limit, config.window, config.faults.len()), (7, Window::Bucket, 2));
    assert_eq!((config.window_length.as_secs(), config.apps.len()), (5, 1));
    for wrong in
        ["--limit=0", "--window=other", "--fault=A=x", "--latency=1", "--app=x", "--listen=localhost"]
    {
        assert!(parse(&[wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let failure = run(&parse(&["--listen", address]).unwrap(), Vec::new()).unwrap_err();
        assert!(failure.title.contains("not a loopback address"), "{}", failure.title);
        assert_eq!(failure.exit, Exit::Error);
    }
}

#[test]
fn a_list_has_comments_and_names_its_bad_line() {
    let text = "\u{feff}# all\nA-1\r\n\n  cli_a/A-2  # HR's\ncli_s/t1/A-3\n";
    assert_eq!(parse_subscribed(text).unwrap().len(), 3);
    let (line, cause) = parse_subscribed("A-1\n\nA_2\n").unwrap_err();
    assert_eq!(line, 3);
    assert!(cause.contains("`A_2` is not an approval code"), "{cause}");
}

#[test]
fn a_line_of_the_log_holds_nothing_foreign() {
    let call = Call {
        at: Duration::ZERO,
        method: "POST".into(),
        path: "::error::\u{1b}[2J".into(),
        api: None,
        app_id: None,
        tenant_key: None,
        approval_code: None,
        status: 200,
        code: Some(0),
        fault: Some(crate::sandbox::What::Lost),
    };
    assert_eq!(log_line(&call), "POST \\u{3a}:error::\\u{1b}[2J → 200 0 (fault: lost)");
    let reset = Call { status: 0, code: None, fault: Some(crate::sandbox::What::Reset), ..call };
    assert!(log_line(&reset).ends_with(" → no answer (fault: reset)"));
}
