//! Catalogs in and out.

use crate::stories;

stories![];
