//! The object stores, each with its own usual variables. Everything is tried again by `objects`, nothing by the library.

use std::sync::Arc;
use std::time::Duration;

use object_store::{ClientOptions, ObjectStore, RetryConfig};

#[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
use super::not_built;
#[cfg(feature = "s3")]
use super::profile;
use super::settings::Settings;
use super::trouble::{Kind, Trouble};
use crate::state::place::{Engine, is_loopback};

/// A bucket or container.
pub(super) fn open(
    engine: Engine,
    bucket: &str,
    settings: &Settings,
) -> Result<Arc<dyn ObjectStore>, Trouble> {
    match engine {
        #[cfg(feature = "s3")]
        Engine::S3 => s3(bucket, settings),
        #[cfg(not(feature = "s3"))]
        Engine::S3 => Err(not_built(engine)),
        #[cfg(feature = "gcs")]
        Engine::Gcs => gcs(bucket, settings),
        #[cfg(not(feature = "gcs"))]
        Engine::Gcs => Err(not_built(engine)),
        #[cfg(feature = "azure")]
        Engine::Azure => azure(bucket, settings),
        #[cfg(not(feature = "azure"))]
        Engine::Azure => Err(not_built(engine)),
    }
}

/// Plain http stays on this machine.
fn client(settings: &Settings, endpoint: Option<&str>) -> ClientOptions {
    let endpoint = endpoint.and_then(|endpoint| url::Url::parse(endpoint).ok());
    let stays = endpoint.is_some_and(|endpoint| endpoint.scheme() == "http" && is_loopback(&endpoint));
    let options = ClientOptions::new()
        .with_timeout(settings.timeout)
        .with_connect_timeout(settings.timeout.min(Duration::from_secs(10)))
        .with_allow_http(stays);
    if stays {
        options.with_no_system_certificates(true).with_proxy_excludes("127.0.0.1,localhost,::1")
    } else {
        options
    }
}

/// Whether it is encrypted or stays on this machine, and holds no secret itself.
#[cfg(any(feature = "s3", feature = "gcs"))]
fn is_safe(endpoint: &str) -> bool {
    url::Url::parse(endpoint).is_ok_and(|url| {
        let is_clean = url.username().is_empty() && url.password().is_none();
        is_clean && (url.scheme() == "https" || is_loopback(&url))
    })
}

fn never() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// The library's own words may quote what it was given; they are not passed on.
fn unusable(what: &str, hint: &str) -> Trouble {
    Trouble::new(Kind::Setup, format!("cannot be reached: {what} cannot be used")).hint(hint)
}

#[cfg(feature = "s3")]
fn s3(bucket: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>, Trouble> {
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(never());
    let mut endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .into_iter()
        .find_map(|name| settings.text(name));
    if let Some(region) = settings.text("AWS_REGION").or_else(|| settings.text("AWS_DEFAULT_REGION")) {
        builder = builder.with_region(region);
    }
    if let Some(found) = profile::find(settings)? {
        let profile::Profile { access_key_id, secret_access_key, session_token, region, endpoint_url } =
            found;
        if let (Some(id), Some(secret)) = (access_key_id, secret_access_key) {
            use secrecy::ExposeSecret as _;
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
            if let Some(token) = session_token {
                builder = builder.with_token(token.expose_secret());
            }
        }
        if let Some(region) = region.filter(|_| {
            settings.text("AWS_REGION").is_none() && settings.text("AWS_DEFAULT_REGION").is_none()
        }) {
            builder = builder.with_region(region);
        }
        endpoint = endpoint.or(endpoint_url);
    }
    if let Some(endpoint) = &endpoint {
        if !is_safe(endpoint) {
            return Err(unusable(
                "the endpoint",
                "AWS_ENDPOINT_URL is an https address, or http on loopback, without a user name",
            ));
        }
        builder = builder.with_endpoint(endpoint);
    }
    let hint = "look at the AWS_… variables; AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are what is usually needed";
    let store = builder
        .with_config(Key::ConditionalPut, "etag")
        .with_client_options(client(settings, endpoint.as_deref()))
        .build()
        .map_err(|_| unusable("what the environment says of S3", hint))?;
    Ok(Arc::new(store))
}

#[cfg(feature = "gcs")]
fn gcs(bucket: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>, Trouble> {
    let hint = "GOOGLE_APPLICATION_CREDENTIALS names a key file; without one the application default credentials or the machine's account are used";
    let endpoint = settings.text("GOOGLE_BASE_URL");
    if endpoint.as_deref().is_some_and(|endpoint| !is_safe(endpoint)) {
        let hint = "GOOGLE_BASE_URL is an https address, or http on loopback, without a user name";
        return Err(unusable("the endpoint", hint));
    }
    let store = object_store::gcp::GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(bucket)
        .with_retry(never())
        .with_client_options(client(settings, endpoint.as_deref()))
        .build()
        .map_err(|_| unusable("what the environment says of Google Cloud", hint))?;
    Ok(Arc::new(store))
}

#[cfg(feature = "azure")]
fn azure(container: &str, settings: &Settings) -> Result<Arc<dyn ObjectStore>, Trouble> {
    use object_store::azure::MicrosoftAzureBuilder;
    let emulator =
        settings.text("AZURE_STORAGE_USE_EMULATOR").is_some_and(|value| value == "true" || value == "1");
    let endpoint = if emulator {
        Some(settings.text("AZURITE_BLOB_STORAGE_URL").unwrap_or_else(|| "http://127.0.0.1:10000".into()))
    } else {
        settings.text("AZURE_STORAGE_ENDPOINT").or_else(|| settings.text("AZURE_ENDPOINT"))
    };
    let hint = "AZURE_STORAGE_ACCOUNT_NAME is needed, and one of AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, a service principal's AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or a managed identity";
    let store = MicrosoftAzureBuilder::from_env()
        .with_container_name(container)
        .with_use_emulator(emulator)
        .with_retry(never())
        .with_client_options(client(settings, endpoint.as_deref()))
        .build()
        .map_err(|_| unusable("what the environment says of Azure", hint))?;
    Ok(Arc::new(store))
}
