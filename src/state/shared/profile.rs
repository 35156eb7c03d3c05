//! Static keys of an AWS profile, which the library does not read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use super::settings::Settings;
use super::trouble::{Kind, Trouble};
use crate::text::shown;

/// What a profile gives.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<SecretString>,
    pub session_token: Option<SecretString>,
    pub region: Option<String>,
    pub endpoint_url: Option<String>,
}

type Section = BTreeMap<String, String>;

/// The profile that the environment names, or the default one; none where the environment itself has credentials or
/// there is no such file.
pub(super) fn find(settings: &Settings) -> Result<Option<Profile>, Trouble> {
    let named = settings.text("AWS_PROFILE").or_else(|| settings.text("AWS_DEFAULT_PROFILE"));
    let own = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    if own.into_iter().any(|name| settings.text(name).is_some()) {
        return Ok(None);
    }
    let home = settings.text("HOME").map(PathBuf::from);
    let file = |variable: &str, name: &str| {
        let path = settings.text(variable).map(PathBuf::from);
        path.or_else(|| home.as_ref().map(|home| home.join(".aws").join(name)))
    };
    let read =
        |path: Option<PathBuf>| path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let credentials = read(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
    let config = read(file("AWS_CONFIG_FILE", "config"));
    let name = named.clone().unwrap_or_else(|| "default".into());
    match profile(&name, &credentials, &config) {
        Found::Keys(profile) => Ok(Some(profile)),
        Found::None if named.is_none() => Ok(None),
        Found::None => Err(Trouble::new(
            Kind::Setup,
            format!("cannot be reached: there is no AWS profile `{}` with keys", shown(&name)),
        )
        .hint("AWS_PROFILE names a section of ~/.aws/credentials or ~/.aws/config")),
        Found::Elsewhere if named.is_none() => Ok(None),
        Found::Elsewhere => Err(Trouble::new(
            Kind::Setup,
            format!(
                "cannot be reached: the AWS profile `{}` gets its keys by signing in, a role or a program",
                shown(&name)
            ),
        )
        .hint(format!(
            "export them first: eval \"$(aws configure export-credentials --profile {} --format env)\"",
            shown(&name)
        ))),
    }
}

enum Found {
    Keys(Profile),
    /// It has none of its own: SSO, a role, a process.
    Elsewhere,
    None,
}

fn profile(name: &str, credentials: &str, config: &str) -> Found {
    let mut all = sections(credentials);
    let in_config = sections(config);
    let config_name = if name == "default" { "default".to_owned() } else { format!("profile {name}") };
    let mut section = in_config.get(&config_name).cloned().unwrap_or_default();
    // What stands in the credentials file wins.
    section.extend(all.remove(name).unwrap_or_default());
    if section.is_empty() {
        return Found::None;
    }
    let text = |key: &str| section.get(key).cloned();
    let profile = Profile {
        access_key_id: text("aws_access_key_id"),
        secret_access_key: text("aws_secret_access_key").map(Into::into),
        session_token: text("aws_session_token").map(Into::into),
        region: text("region"),
        endpoint_url: text("endpoint_url"),
    };
    let elsewhere =
        ["role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file"];
    if elsewhere.into_iter().any(|key| section.contains_key(key)) {
        return Found::Elsewhere;
    }
    if profile.access_key_id.is_none() && name != "default" {
        return Found::None;
    }
    Found::Keys(profile)
}

/// The sections of an ini file; indented lines belong to the key above and are left out.
fn sections(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) || trimmed.is_empty() || line.starts_with([' ', '\t']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            current = name.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(current.clone()).or_default();
        } else if let Some((key, value)) = trimmed.split_once('=') {
            let value = value.trim().to_owned();
            sections.entry(current.clone()).or_default().insert(key.trim().to_lowercase(), value);
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = A0\naws_secret_access_key=S0\n\n[ci]\naws_access_key_id=A1\naws_secret_access_key = S1=\naws_session_token = T1\n";
    const CONFIG: &str = "[profile ci]\nregion = eu-west-1\ns3 =\n  addressing_style = path\nendpoint_url = https://s3.example\n[profile me]\nsso_session = x\n[profile deploy]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = ci\n";

    #[test]
    fn static_keys_region_and_endpoint_are_read() {
        let Found::Keys(ci) = profile("ci", CREDENTIALS, CONFIG) else { panic!("keys") };
        assert_eq!(ci.access_key_id.as_deref(), Some("A1"));
        assert_eq!(ci.secret_access_key.unwrap().expose_secret(), "S1=");
        assert_eq!(ci.session_token.unwrap().expose_secret(), "T1");
        assert_eq!(ci.region.as_deref(), Some("eu-west-1"));
        assert_eq!(ci.endpoint_url.as_deref(), Some("https://s3.example"));
        assert!(matches!(profile("default", CREDENTIALS, CONFIG), Found::Keys(_)));
    }

    #[test]
    fn profiles_that_sign_in_or_assume_a_role_are_told_apart_from_ones_that_are_not_there() {
        assert!(matches!(profile("me", CREDENTIALS, CONFIG), Found::Elsewhere));
        assert!(matches!(profile("deploy", CREDENTIALS, CONFIG), Found::Elsewhere));
        assert!(matches!(profile("nobody", CREDENTIALS, CONFIG), Found::None));
    }
}
