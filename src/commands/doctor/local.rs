//! What can be looked at without asking anybody.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::checks::{Check, Found};
use crate::commands::{Context, check_place, env};
use crate::error::Failure;
use crate::feishu::Http;
use crate::feishu::http::check_proxies;
use crate::manifest::Manifest;
use crate::render::{count, grouped};
use crate::state::compact::is_overgrown;
use crate::state::ledger::{Locking, lock, refuse_newer};
use crate::state::reach::read_at;
use crate::state::{LedgerError, Reading, State};
use crate::subscription::BaseUrl;
use crate::text::shown;

pub(super) fn manifest(context: &Context, checks: &mut Vec<Check>) -> Option<Manifest> {
    match context.manifest() {
        Ok((manifest, _)) => {
            let declared: usize = manifest.apps.values().map(|app| app.subscriptions.len()).sum();
            let says = format!(
                "{}: {}, {}",
                path(&context.workspace.manifest),
                count(manifest.apps.len() as u64, "app", "apps"),
                count(declared as u64, "subscription", "subscriptions")
            );
            checks.push(Check::new("manifest", Found::Ok, says));
            Some(manifest)
        }
        Err(failure) => {
            let has_drawing = !failure.drawing.is_empty();
            let check = failed("manifest", failure);
            checks.push(if has_drawing {
                check.help("`larksub validate` shows each, and what to write instead")
            } else {
                check
            });
            None
        }
    }
}

pub(super) fn state(context: &Context, checks: &mut Vec<Check>) -> Option<State> {
    let file = &context.workspace.state;
    if file.as_path().as_os_str().is_empty() {
        // The same as every other command says.
        checks.push(
            Check::new("state", Found::Fail, "its path is empty")
                .help("name a state with --state or LARKSUB_STATE"),
        );
        return None;
    }
    if let Err(failure) = check_place(file) {
        checks.push(failed("state", failure));
        return None;
    }
    let reading = match read_at(file, env).and_then(|reading| refuse_newer(file.as_path(), reading)) {
        Ok(reading) => reading,
        Err(error) => {
            checks.push(failed("state", error.into()));
            return None;
        }
    };
    checks.push(Check::new(
        "state",
        Found::Ok,
        format!(
            "{}: line {}, {} tracked",
            file.shown(),
            reading.state.serial,
            grouped(reading.state.tracked() as u64)
        ),
    ));
    checks.push(tail(&reading));
    checks.push(size(&reading, file.address().is_none()));
    match file.address() {
        None => {
            checks.push(mode(file.as_path()));
            checks.push(free(context, file.as_path()));
        }
        Some(_) => {
            checks.push(Check::new("permissions", Found::Skip, "they are its store's"));
            checks.push(Check::new("lock", Found::Skip, "it is looked at when it is taken, by what writes"));
        }
    }
    Some(reading.state)
}

fn tail(reading: &Reading) -> Check {
    if reading.tail_lines > 0 {
        let lines = count(reading.tail_lines, "whole line", "whole lines");
        Check::new(
            "tail",
            Found::Warn,
            format!("it ends in {lines} of a batch whose end is missing; they are ignored"),
        )
        .help("if that import did report success, this copy was cut short: restore it")
    } else if reading.tail_len > 0 {
        Check::new(
            "tail",
            Found::Warn,
            format!("it ends in {} bytes of a line that was cut off; they are ignored", reading.tail_len),
        )
        .help("the next command that writes moves them into a file beside it")
    } else {
        Check::new("tail", Found::Ok, "its last line is whole")
    }
}

/// A shared state is read from its newest snapshot, and is not compacted.
fn size(reading: &Reading, is_file: bool) -> Check {
    let lines = count(reading.lines.count(), "line", "lines");
    if is_file && is_overgrown(reading.lines.count(), &reading.state) {
        return Check::new("size", Found::Warn, format!("{lines}, more than ten times what it adds up to"))
            .help("`larksub state compact` rewrites it, and keeps the old one");
    }
    Check::new("size", Found::Ok, lines)
}

/// Others may read it in any checkout; who may write to it decides what is dropped.
fn mode(file: &Path) -> Check {
    let mode = match fs::metadata(file) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(error) => return Check::new("permissions", Found::Fail, shown(&error.to_string())),
    };
    let (result, says) = match mode {
        0o600 => (Found::Ok, "only its owner may read and write it"),
        mode if mode & 0o022 != 0 => (Found::Warn, "others may write to it, and so decide what is dropped"),
        mode if mode & 0o044 != 0 => (Found::Ok, "others may read it, as in a checkout"),
        _ => (Found::Ok, "nobody else may write to it"),
    };
    let check = Check::new("permissions", result, format!("{mode:04o}: {says}"));
    match result {
        Found::Warn => check.help(format!("chmod 600 {}", path(file))),
        _ => check,
    }
}

/// Taken and given back at once; nothing is written.
fn free(context: &Context, file: &Path) -> Check {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    match lock(&real, Locking { wait: Duration::ZERO, trusts_network: context.trusts_network }) {
        Ok(_) => Check::new("lock", Found::Ok, "nobody holds it"),
        Err(error) => {
            let is_held = matches!(error, LedgerError::Locked { .. });
            let check = failed("lock", error.into());
            if is_held { Check { result: Found::Warn, ..check } } else { check }
        }
    }
}

/// Each app of manifest and state: whether they mean the same.
pub(super) fn apps(manifest: &Manifest, state: Option<&State>, checks: &mut Vec<Check>) {
    for (label, app) in &manifest.apps {
        let labelled = state
            .and_then(|state| state.app_labelled(label))
            .filter(|(_, other)| other.identity != app.identity);
        let bound = state.and_then(|state| state.app_of(&app.identity));
        let check = match (labelled, bound) {
            (Some((_, other)), _) if other.identity.app_id == app.identity.app_id => Check::new(
                "app",
                Found::Fail,
                format!("the same app id at {} in the state, at {} in the manifest", other.identity.base_url, app.identity.base_url),
            )
            .help(format!(
                "an app keeps its place: write `base_url = \"{}\"` (or its brand) again; another platform's app gets a label of its own",
                other.identity.base_url
            )),
            (Some((_, other)), _) => Check::new(
                "app",
                Found::Fail,
                format!("{} in the state, {} in the manifest", other.identity, app.identity),
            )
            .help("a label keeps its app: give the other app a label of its own"),
            (None, Some((_, bound))) if bound.kind != app.kind => Check::new(
                "app",
                Found::Fail,
                format!(
                    "a {} app in the state, a {} app in the manifest",
                    bound.kind.as_str(),
                    app.kind.as_str()
                ),
            )
            .help(format!("an app's kind does not change: write `kind = \"{}\"`", bound.kind.as_str())),
            (None, Some(_)) => Check::new("app", Found::Ok, format!("{}, as in the state", app.identity)),
            (None, None) => Check::new("app", Found::Ok, format!("{}, not in the state yet", app.identity)),
        };
        checks.push(check.of(label));
    }
    let Some(state) = state else { return };
    let tracked = state.tracked_by_app();
    for (index, bound) in state.apps() {
        let has_section = manifest.apps.values().any(|app| app.identity == bound.identity);
        // Where its label stands for another app in the manifest, that is the mistake, and told above.
        let has_section = has_section || manifest.apps.contains_key(&bound.label);
        if !has_section && tracked.contains_key(&index) {
            checks.push(
                Check::new("app", Found::Fail, "tracked in the state, and without a section in the manifest")
                    .of(&bound.label)
                    .help("every plan is refused: `larksub manifest from-state` declares it; to retire it, keep its empty section until its drops are applied"),
            );
        }
    }
}

/// Proxy and certificates, as calls would use them.
pub(super) fn surroundings(manifest: Option<&Manifest>, http: &Http, checks: &mut Vec<Check>) {
    let proxies = check_proxies(&|name| env(name).map(|value| value.to_string_lossy().into_owned()));
    let is_usable = proxies.is_ok();
    checks.push(match proxies {
        Ok(()) => proxy(),
        Err(says) => Check::new("proxy", Found::Fail, says)
            .help("nothing is sent past a proxy that somebody meant: https calls fail until it is right"),
    });
    let places = manifest.into_iter().flat_map(|manifest| manifest.apps.values());
    let mut places = places.map(|app| app.identity.base_url.clone());
    let feishu = || "https://open.feishu.cn".parse::<BaseUrl>().ok();
    let place = match manifest {
        Some(_) => places.find(BaseUrl::is_https),
        None => feishu(),
    };
    let ready = place.map(|place| if is_usable { http.ready(&place) } else { Ok(()) });
    checks.push(match ready {
        Some(_) if !is_usable => {
            Check::new("certificates", Found::Skip, "not looked at until the proxy can be used")
        }
        None => Check::new("certificates", Found::Skip, "no app of the manifest is called over https"),
        Some(Ok(())) => Check::new("certificates", Found::Ok, "certificates to trust were found"),
        Some(Err(error)) => Check::new("certificates", Found::Fail, error.to_string())
            .help("see the cause for what to install or set; --ca-bundle names more certificates"),
    });
}

/// Which proxy https goes through; never its user and password.
fn proxy() -> Check {
    let value = |name: &'static str| {
        let value = env(name).filter(|value| !value.is_empty())?;
        Some((name, value.to_string_lossy().into_owned()))
    };
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().filter_map(value);
    let mut said: Vec<String> =
        proxies.map(|(name, value)| format!("{name} {}", without_user(&value))).collect();
    if said.is_empty() {
        return Check::new("proxy", Found::Ok, "none: the platform is called directly");
    }
    let exceptions = ["NO_PROXY", "no_proxy"].into_iter().filter_map(value);
    said.extend(exceptions.map(|(name, value)| format!("{name} {}", shown(&value))));
    said.push("loopback is never called through it".into());
    Check::new("proxy", Found::Ok, said.join("; "))
}

fn without_user(value: &str) -> String {
    let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = url::Url::parse(&whole).ok();
    let place = url.as_ref().and_then(|url| Some((url, url.host_str()?)));
    match place {
        Some((url, host)) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            shown(&format!("{}://{host}{port}", url.scheme())).into_owned()
        }
        None => "(no address of a proxy)".into(),
    }
}

/// An error that another command would end with.
fn failed(check: &'static str, failure: Failure) -> Check {
    let Failure { exit: _, title, causes, hints, drawing: _ } = failure;
    let says = std::iter::once(title).chain(causes).collect::<Vec<_>>().join(": ");
    hints.into_iter().fold(Check::new(check, Found::Fail, says), Check::help)
}

fn path(path: &Path) -> String {
    shown(&path.display().to_string()).into_owned()
}
