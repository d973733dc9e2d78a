//! What the clients do.

use std::fmt;

use clap::ValueEnum;

/// A way to use a server. The names are those of the command line.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Scenario {
    /// 64 connections, one request at a time on each
    Keepalive64,
    /// 512 connections, one request at a time on each
    Keepalive512,
    /// 64 connections, 16 requests in each write
    Pipeline16,
    /// 64 clients, each request on a connection of its own
    ConnectionPerRequest,
    /// 10,000 connections that have made one request and stay
    Idle10000,
}

/// What is measured, and how.
#[derive(Clone, Copy)]
pub enum Work {
    /// CPU time per request, under wrk.
    Load(Load),
    /// Memory per connection.
    Idle { connections: u32 },
}

/// How wrk asks.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: u32,
    /// Requests in one write.
    pub depth: u32,
    /// One connection per request.
    pub close: bool,
}

impl Scenario {
    pub fn work(self) -> Work {
        let keepalive = Load { connections: 64, depth: 1, close: false };
        match self {
            Self::Keepalive64 => Work::Load(keepalive),
            Self::Keepalive512 => Work::Load(Load { connections: 512, ..keepalive }),
            Self::Pipeline16 => Work::Load(Load { depth: 16, ..keepalive }),
            Self::ConnectionPerRequest => Work::Load(Load { close: true, ..keepalive }),
            Self::Idle10000 => Work::Idle { connections: 10_000 },
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// The scenarios asked for; all if none was.
pub fn chosen(asked: &[Scenario]) -> &[Scenario] {
    if asked.is_empty() { Scenario::value_variants() } else { asked }
}
