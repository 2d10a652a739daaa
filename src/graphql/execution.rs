//! Steps around the execution of an operation: parsing and validation of the document, limits, variables, and the form
//! of the response.

pub mod limits;
pub mod document;
pub mod variables;
pub mod response_shape;
pub mod document_rewrite;
pub mod complexity_probe;
pub mod requested_cost;
pub mod operation_check;
pub mod operation_cost;
pub mod schema_check;
