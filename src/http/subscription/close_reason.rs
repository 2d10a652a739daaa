//! Reasons why the server ends a connection, with their WebSocket close codes.

/// Reason why the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The connection had no operation for too long.
    Idle,
    /// The server stops; the client reconnects and continues.
    Stopping,
    /// The client reads too slowly, or an event could not be loaded; the client reconnects and continues.
    TryAgain,
    /// The account or API key has too many connections.
    TooManyConnections,
    /// A message is larger than the limit.
    MessageTooLarge,
    /// A message violates the protocol.
    BadRequest,
    /// An operation was sent before the connection was acknowledged.
    Unauthorized,
    /// The token is invalid, has expired or was revoked.
    Forbidden,
    /// The client offers no subprotocol that the server speaks.
    SubprotocolNotAcceptable,
    /// `connection_init` was not received in time.
    InitTimeout,
    /// The ID of an operation is in use.
    SubscriberExists,
    /// `connection_init` was sent twice.
    TooManyInits,
    /// An internal error.
    Internal,
    /// The client does not answer pings.
    Terminated,
}

impl CloseReason {
    /// Returns the WebSocket close code.
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::Idle => 1000,
            Self::MessageTooLarge => 1009,
            Self::Stopping => 1012,
            Self::TryAgain | Self::TooManyConnections => 1013,
            Self::BadRequest => 4400,
            Self::Unauthorized => 4401,
            Self::Forbidden => 4403,
            Self::SubprotocolNotAcceptable => 4406,
            Self::InitTimeout => 4408,
            Self::SubscriberExists => 4409,
            Self::TooManyInits => 4429,
            Self::Terminated => 4499,
            Self::Internal => 4500,
        }
    }

    /// Returns the reason in the close frame, at most 123 bytes.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Idle => "No operation for too long",
            Self::TooManyConnections => "Too many connections",
            Self::MessageTooLarge => "Message too large",
            Self::Stopping => "Server restarts; reconnect and continue",
            Self::TryAgain => "Events could not be delivered; reconnect and continue",
            Self::BadRequest => "Invalid message",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::SubprotocolNotAcceptable => "Subprotocol not acceptable",
            Self::InitTimeout => "Connection initialisation timeout",
            Self::SubscriberExists => "Subscriber already exists",
            Self::TooManyInits => "Too many initialisation requests",
            Self::Terminated => "Terminated",
            Self::Internal => "Internal server error",
        }
    }
}
