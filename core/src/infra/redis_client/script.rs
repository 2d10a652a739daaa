//! Lua scripts, which Redis executes atomically.

use redis::{Script, ScriptInvocation};

/// A Lua script. It is sent once per server and then called by its hash.
#[derive(Debug)]
pub struct RedisScript {
    script: Script,
}

impl RedisScript {
    /// Creates a script from its source.
    #[must_use]
    pub fn new(source: &str) -> Self {
        Self { script: Script::new(source) }
    }

    /// Prepares a call with these keys and arguments.
    pub(super) fn prepare(&self, keys: &[String], arguments: &[&[u8]]) -> ScriptInvocation<'_> {
        let mut invocation = self.script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(*argument);
        }
        invocation
    }
}
