//! Searching.

use crate::stories;

stories![];
