use super::*;
use crate::credentials::{Credential, SecretSource};
use crate::feishu::codes::DefinitionStatus;
use crate::sandbox::{Config, Memory, Window};
use crate::subscription::AppKind;

fn lane(codes: usize) -> Lane {
    let app = App {
        label: "hr".parse().unwrap(),
        app_id: "cli_hr".parse().unwrap(),
        base_url: "http://127.0.0.1:9".parse().unwrap(),
        kind: AppKind::Custom,
        credential: Credential::Secret(SecretSource::Value("secret".to_owned().into())),
    };
    let codes = (0..codes).map(|number| format!("A-{number}").parse().unwrap()).collect();
    Lane { app: Rc::new(app), tenant_key: None, rate: Rate::PerMinute(100), codes }
}

fn config(codes: usize, faults: &[&str]) -> Config {
    Config {
        subscribed: (0..codes).map(|number| format!("A-{number}").parse().unwrap()).collect(),
        names: [("A-0".parse().unwrap(), "Leave".to_owned())].into(),
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        window: Window::Sliding,
        latency: "100ms".parse().unwrap(),
        ..Config::default()
    }
}

async fn asked(codes: usize, faults: &[&str]) -> (Names, Vec<crate::sandbox::Call>) {
    let client = Client::new(Memory::new(config(codes, faults)));
    let names = ask(&client, &[lane(codes)]).await;
    let calls = client.platform().calls();
    (names, calls)
}

fn told<'a>(names: &'a Names, code: &str) -> &'a Told {
    names.told.get(&format!("hr/{code}").parse().unwrap()).unwrap_or_else(|| panic!("{code}: {names:?}"))
}

#[tokio::test(start_paused = true)]
async fn three_hundred_names_take_what_the_quota_asks_for_and_meet_no_rate_limit() {
    let begun = Instant::now();
    let (names, calls) = asked(300, &[]).await;
    assert_eq!((names.told.len(), names.stopped.len()), (300, 0));
    assert!(calls.iter().all(|call| call.code == Some(0)), "no call was refused");
    let took = begun.elapsed().as_secs_f64();
    println!("300 names took {took:.1} s");
    assert!((120.0..140.0).contains(&took), "{took}");
    let definition = Definition { name: Some("Leave".into()), status: DefinitionStatus::Active };
    assert_eq!(told(&names, "A-0"), &Told::Definition(definition));
}

#[tokio::test(start_paused = true)]
async fn each_definition_is_told_as_it_is_and_the_others_go_on() {
    let faults = [
        "A-0=deleted",
        "A-1=not_found",
        "A-2=rate_limit:3",
        "A-3=5xx:2",
        "A-4=html",
        "A-5=token:1",
        "A-6=already",
    ];
    let (names, _) = asked(8, &faults).await;
    assert!(names.stopped.is_empty(), "{names:?}");
    let gone = Definition { name: Some("Leave".into()), status: DefinitionStatus::Deleted };
    assert_eq!(told(&names, "A-0"), &Told::Definition(gone));
    assert_eq!(told(&names, "A-1"), &Told::NotFound);
    for code in ["A-2", "A-3", "A-5", "A-7"] {
        assert!(matches!(told(&names, code), Told::Definition(_)), "{code}: {names:?}");
    }
    assert!(
        matches!(told(&names, "A-4"), Told::Failed(why) if why.contains("not a JSON object")),
        "{names:?}"
    );
    assert!(matches!(told(&names, "A-6"), Told::Failed(why) if why.contains("1390007")), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn what_no_further_call_can_get_over_stops_at_once() {
    for (fault, says, calls_made) in [
        ("*=scope", "lacks the scope", 1),
        ("*=monthly", "month", 1),
        ("*=token", "credential was refused", 2),
        ("*=rate_limit", "10 rate limits", 10),
        ("*=html", "5 definitions in a row", 15),
    ] {
        let (names, calls) = asked(20, &[fault]).await;
        let [stopped] = names.stopped.as_slice() else { panic!("{fault}: {names:?}") };
        assert!(stopped.says.contains(says) && !stopped.hint.is_empty(), "{fault}: {stopped:?}");
        assert_eq!(calls.iter().filter(|call| call.approval_code.is_some()).count(), calls_made, "{fault}");
    }
}
