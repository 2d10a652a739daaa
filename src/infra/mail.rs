//! Letters: to an SMTP server, or, on a developer's machine, into a folder.

use std::{error::Error as _, path::PathBuf, time::Duration};

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

use super::{
    Config,
    config::{MailConfig, Tls, Way},
    unsent::{Unsent, file},
};

/// A server that never ends what it says is left after this much more than one answer may take.
const PATIENCE: u32 = 2;
/// Answers that refuse the shop and not the letter: somebody may yet mend the settings.
const SIGN_IN_REFUSED: [u16; 5] = [454, 530, 534, 535, 538];

/// A letter to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it is known by, the same however often it is sent: mailboxes that get it twice show it once.
    pub id: String,
    /// Where it goes.
    pub to: String,
    /// What it is about, in one line.
    pub subject: String,
    /// Its words alone.
    pub text: String,
    /// The same, to look at.
    pub html: String,
    /// When it was written.
    pub at: DateTime<Utc>,
}

/// What sends letters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mail {
    from: Mailbox,
    reply_to: Option<Mailbox>,
    way: Post,
}

#[derive(Debug, Clone)]
enum Post {
    Nowhere,
    Folder(PathBuf),
    Smtp { server: AsyncSmtpTransport<Tokio1Executor>, limit: Duration },
}

impl Mail {
    /// As the settings say. Nothing is asked of a server before the first letter.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(config: &Config) -> Result<Self, String> {
        let MailConfig { from, reply_to, .. } = &config.mail;
        let way = match config.mail.way(config.shop.mode) {
            Way::Nowhere => Post::Nowhere,
            Way::Folder => Post::Folder(config.notification.folder.clone()),
            Way::Service => Post::Smtp { server: smtp(&config.mail)?, limit: config.mail.timeout * PATIENCE },
        };
        Ok(Self { from: from.clone(), reply_to: reply_to.parse().ok(), way })
    }

    /// Sends a letter. Answers what it is known by in the outside world.
    ///
    /// # Errors
    /// When it has not gone out, as far as anybody knows.
    pub async fn send(&self, letter: &Letter) -> Result<String, Unsent> {
        let (message, id) = self.seal(letter)?;
        match &self.way {
            Post::Nowhere => return Err(Unsent::Nowhere),
            Post::Folder(folder) => {
                let name = format!("{}.eml", letter.id);
                file(folder, &name, &message.formatted()).await?;
                tracing::info!(to = letter.to, subject = letter.subject, folder = %folder.display(), name, "a letter");
            }
            Post::Smtp { server, limit } => {
                let sent = tokio::time::timeout(*limit, server.send(message)).await;
                sent.map_err(|_| Unsent::later("the SMTP server takes too long"))?.map_err(|why| refused(&why))?;
            }
        }
        Ok(id)
    }

    /// The letter as it travels. What it says cannot become a header: those are encoded.
    fn seal(&self, letter: &Letter) -> Result<(Message, String), Unsent> {
        let Letter { id, to, subject, text, html, at } = letter;
        let to = to.parse().map_err(|why| Unsent::never(format!("this is no e-mail address: {why}")))?;
        let id = format!("<{id}@{}>", self.from.email.domain());
        let subject: String = subject.split(char::is_control).collect::<Vec<_>>().join(" ");
        let mut message = Message::builder().from(self.from.clone()).to(Mailbox::new(None, to)).subject(subject);
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        let part = |kind, body: &String| SinglePart::builder().header(kind).body(body.clone());
        let both = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, text))
            .singlepart(part(ContentType::TEXT_HTML, html));
        let whole = message.date((*at).into()).message_id(Some(id.clone())).multipart(both);
        Ok((whole.map_err(|why| Unsent::never(format!("it cannot be put into a letter: {why}")))?, id))
    }
}

fn smtp(config: &MailConfig) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let secret = || TlsParameters::new(config.host.clone()).map_err(|why| format!("mail.host: {why}"));
    let tls = match config.tls {
        Tls::StartTls => client::Tls::Required(secret()?),
        Tls::Always => client::Tls::Wrapper(secret()?),
        Tls::Never => client::Tls::None,
    };
    let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.clone())
        .port(config.port)
        .tls(tls)
        .timeout(Some(config.timeout))
        .pool_config(PoolConfig::new().max_size(config.connections));
    if !config.user.is_empty() {
        server = server.credentials(Credentials::new(config.user.clone(), config.password.clone()));
    }
    Ok(server.build())
}

/// What a server said: 5xx is its last word on this letter, anything else is not.
fn refused(why: &smtp::Error) -> Unsent {
    let mut words = why.to_string();
    let mut cause = why.source();
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    let code = why.status().map(u16::from);
    if why.is_permanent() && !code.is_some_and(|code| SIGN_IN_REFUSED.contains(&code)) {
        Unsent::never(words)
    } else {
        Unsent::later(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(to: &str, subject: &str) -> Result<String, Unsent> {
        let config = Config::read(std::path::Path::new("/nowhere"), std::iter::empty()).expect("settings");
        let letter = Letter {
            id: "7.0".into(),
            to: to.into(),
            subject: subject.into(),
            text: "Habari\n.\nBcc: everybody@example.com".into(),
            html: "<p>Habari</p>".into(),
            at: DateTime::UNIX_EPOCH,
        };
        let (message, id) = Mail::new(&config).expect("a folder").seal(&letter)?;
        assert_eq!(id, "<7.0@savannah.example>");
        Ok(String::from_utf8(message.formatted()).expect("text"))
    }

    #[test]
    fn nothing_that_is_said_becomes_a_header() {
        let evil = "Hello\r\nBcc: everybody@example.com\r\n\r\nbody";
        let letter = sealed("amani@example.com", evil).expect("a letter");
        let headers = letter.split("\r\n\r\n").next().expect("headers");
        assert!(!headers.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{headers}");
        assert_eq!(headers.lines().filter(|line| line.starts_with("Subject:")).count(), 1);
        for to in ["a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "nobody", ""] {
            assert!(matches!(sealed(to, "Hello"), Err(Unsent::Never(_))), "{to}");
        }
    }

    #[test]
    fn a_letter_is_the_same_each_time() {
        let once = sealed("amani@example.com", "Asante: oda yako").expect("a letter");
        assert!(once.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000"), "{once}");
        assert!(once.contains("Message-ID: <7.0@savannah.example>"), "{once}");
    }
}
