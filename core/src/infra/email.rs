//! Emails: sent by SMTP or, in development, written to a folder.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, SinglePart, header::ContentType},
    transport::smtp::{
        self, PoolConfig,
        authentication::Credentials,
        client::{self, TlsParameters},
    },
};
use secrecy::ExposeSecret;

use super::{
    Config,
    config::{DeliveryMode, EmailConfig, SmtpTls},
    delivery_error::{DeliveryError, write_message_file},
};
use crate::base::error::format_error_chain;

/// The timeout of a whole SMTP exchange, as a multiple of the timeout of one command.
const SMTP_TOTAL_TIMEOUT_FACTOR: u32 = 2;
/// SMTP status codes that reject the credentials and not the message; the settings may be corrected.
const SMTP_AUTHENTICATION_FAILURES: [u16; 5] = [454, 530, 534, 535, 538];

/// An email to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailMessage {
    /// The message id, the same for each attempt, so that mailboxes can deduplicate.
    pub id: String,
    /// The recipient's address.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// The plain-text body.
    pub text: String,
    /// The HTML body.
    pub html: String,
    /// The date of the message.
    pub date: DateTime<Utc>,
}

/// The email sender. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EmailSender {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    transport: EmailTransport,
}

#[derive(Debug, Clone)]
enum EmailTransport {
    Disabled,
    Directory(PathBuf),
    Smtp { client: AsyncSmtpTransport<Tokio1Executor>, timeout: Duration },
}

impl EmailSender {
    /// Creates the sender from the settings. It connects when the first email is sent.
    ///
    /// # Errors
    /// Returns a message for the operator if a setting is invalid.
    pub fn new(config: &Config) -> Result<Self, String> {
        let EmailConfig { from, reply_to, .. } = &config.email;
        let transport = match config.email.delivery_mode(config.shop.mode) {
            DeliveryMode::Disabled => EmailTransport::Disabled,
            DeliveryMode::File => EmailTransport::Directory(config.notification.file_directory.clone()),
            DeliveryMode::Service => EmailTransport::Smtp {
                client: build_smtp_transport(&config.email)?,
                timeout: config.email.timeout * SMTP_TOTAL_TIMEOUT_FACTOR,
            },
        };
        Ok(Self { from: from.clone(), reply_to: reply_to.parse().ok(), transport })
    }

    /// Sends an email. Returns its `Message-ID`.
    ///
    /// # Errors
    /// Returns a [`DeliveryError`] if the email was not accepted.
    pub async fn send_email(&self, email: &EmailMessage) -> Result<String, DeliveryError> {
        let (message, id) = self.build_message(email)?;
        match &self.transport {
            EmailTransport::Disabled => return Err(DeliveryError::Disabled),
            EmailTransport::Directory(directory) => {
                let name = format!("{}.eml", email.id);
                write_message_file(directory, &name, &message.formatted()).await?;
                let folder = directory.display();
                tracing::info!(to = email.to, subject = email.subject, %folder, name, "email written to file");
            }
            EmailTransport::Smtp { client, timeout } => {
                let sending = tokio::time::timeout(*timeout, client.send(message)).await;
                sending
                    .map_err(|_| DeliveryError::transient("the SMTP server did not respond in time"))?
                    .map_err(|error| classify_smtp_error(&error))?;
            }
        }
        Ok(id)
    }

    /// Builds the MIME message. Headers are encoded, so their values cannot add headers.
    fn build_message(&self, email: &EmailMessage) -> Result<(Message, String), DeliveryError> {
        let EmailMessage { id, to, subject, text, html, date } = email;
        let to =
            to.parse().map_err(|error| DeliveryError::permanent(format!("this is not an e-mail address: {error}")))?;
        let id = format!("<{id}@{}>", self.from.email.domain());
        let subject: String = subject.split(char::is_control).collect::<Vec<_>>().join(" ");
        let mut message = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to)).subject(subject);
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        let build_part = |kind, body: &String| SinglePart::builder().header(kind).body(body.clone());
        let alternatives = MultiPart::alternative()
            .singlepart(build_part(ContentType::TEXT_PLAIN, text))
            .singlepart(build_part(ContentType::TEXT_HTML, html));
        let built = message.date((*date).into()).message_id(Some(id.clone())).multipart(alternatives);
        Ok((built.map_err(|error| DeliveryError::permanent(format!("the e-mail cannot be built: {error}")))?, id))
    }
}

fn build_smtp_transport(config: &EmailConfig) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let tls_parameters = || TlsParameters::new(config.host.clone()).map_err(|error| format!("email.host: {error}"));
    let tls = match config.tls {
        SmtpTls::StartTls => client::Tls::Required(tls_parameters()?),
        SmtpTls::Implicit => client::Tls::Wrapper(tls_parameters()?),
        SmtpTls::Disabled => client::Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.clone())
        .port(config.port)
        .tls(tls)
        .timeout(Some(config.timeout))
        .pool_config(PoolConfig::new().max_size(config.max_connections));
    if !config.username.is_empty() {
        let password = config.password.expose_secret().to_owned();
        builder = builder.credentials(Credentials::new(config.username.clone(), password));
    }
    Ok(builder.build())
}

/// Classifies an SMTP error: 5xx is permanent except for rejected credentials, everything else is transient.
fn classify_smtp_error(error: &smtp::Error) -> DeliveryError {
    let description = format_error_chain(error);
    let code = error.status().map(u16::from);
    if error.is_permanent() && !code.is_some_and(|code| SMTP_AUTHENTICATION_FAILURES.contains(&code)) {
        DeliveryError::permanent(description)
    } else {
        DeliveryError::transient(description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build_test_message(to: &str, subject: &str) -> Result<String, DeliveryError> {
        let config = Config::load_from(std::path::Path::new("/nowhere"), std::iter::empty()).expect("settings");
        let email = EmailMessage {
            id: "7.0".into(),
            to: to.into(),
            subject: subject.into(),
            text: "Habari\n.\nBcc: everybody@example.com".into(),
            html: "<p>Habari</p>".into(),
            date: DateTime::UNIX_EPOCH,
        };
        let (message, id) = EmailSender::new(&config).expect("a folder").build_message(&email)?;
        assert_eq!(id, "<7.0@savannah.example>");
        Ok(String::from_utf8(message.formatted()).expect("text"))
    }

    #[test]
    fn email_subject_and_body_cannot_add_headers() {
        let subject = "Hello\r\nBcc: everybody@example.com\r\n\r\nbody";
        let message = build_test_message("amani@example.com", subject).expect("an email");
        let headers = message.split("\r\n\r\n").next().expect("headers");
        assert!(!headers.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{headers}");
        assert_eq!(headers.lines().filter(|line| line.starts_with("Subject:")).count(), 1);
        for to in ["a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "nobody", ""] {
            assert!(matches!(build_test_message(to, "Hello"), Err(DeliveryError::Permanent(_))), "{to}");
        }
    }

    #[test]
    fn email_is_identical_each_time_it_is_built() {
        let message = build_test_message("amani@example.com", "Asante: oda yako").expect("an email");
        assert!(message.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000"), "{message}");
        assert!(message.contains("Message-ID: <7.0@savannah.example>"), "{message}");
    }
}
