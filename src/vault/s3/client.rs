//! The SDK's client for one bucket.

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{Builder as HttpClient, tls};

use super::{Checksums, S3Options};
use crate::vault::Limits;

/// A client; credentials are looked for now, and nothing connects yet.
pub(super) async fn connect(options: &S3Options, limits: &Limits) -> Client {
    let http = HttpClient::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limits.connect)
        .operation_attempt_timeout(limits.attempt)
        .operation_timeout(limits.call)
        .build();
    // A reader has its own watch, which knows a service that is silent from a consumer that takes its time.
    let stalled = StalledStreamProtectionConfig::enabled().download_enabled(false).grace_period(limits.stall).build();
    let mut shared = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.build_https())
        .retry_config(RetryConfig::standard().with_max_attempts(limits.tries).with_initial_backoff(limits.pause))
        .stalled_stream_protection(stalled)
        .timeout_config(timeouts);
    if let Some(region) = &options.region {
        shared = shared.region(Region::new(region.clone()));
    }
    if let Some((id, secret)) = &options.credentials {
        shared = shared.credentials_provider(Credentials::new(id.reveal(), secret.reveal(), None, None, "sexton.toml"));
    }
    let shared = shared.load().await;
    let mut config = Builder::from(&shared).force_path_style(options.path_style);
    if shared.region().is_none() {
        config = config.region(Region::new("us-east-1"));
    }
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    if options.checksums() == Checksums::None {
        // Not every service knows the checksums that AWS takes by default.
        config = config
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    }
    Client::from_conf(config.build())
}
