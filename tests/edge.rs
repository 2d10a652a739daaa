//! GraphQL over HTTP, by the specification, and what the edge refuses.

use crate::stories;

stories![];
