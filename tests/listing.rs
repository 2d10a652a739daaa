//! Lists: orders, pages, filters and facets, compared with a model.

use crate::stories;

stories![];
