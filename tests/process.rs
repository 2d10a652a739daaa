//! The binary as a person runs it: settings, signals, crashes, GraphiQL in a browser.

use crate::stories;

stories![];
