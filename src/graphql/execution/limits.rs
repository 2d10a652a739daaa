//! Document limits checked before validation, whose cost grows with the sizes measured here.

use std::collections::HashMap;

use apollo_compiler::{
    Name, Node,
    ast::{Argument, Definition, DirectiveList, Document, FragmentDefinition, Selection, Value},
    parser::SourceSpan,
};
use async_graphql::{
    ServerError,
    parser::types::{self, ExecutableDocument, OperationDefinition},
};

use super::document::{errors::error_at, line_index::LineIndex};
use crate::{base::error::PublicErrorCode, infra::config::GraphqlConfig};

/// Maximum nesting of selections, including nested fragments: every traversal of a document recurses once per level.
const MAX_SELECTION_NESTING: usize = 100;
/// Maximum number of selections, arguments, values, directives and variables of a document as written, and of
/// selections of all its operations with fragments expanded. Well above the size of real queries.
const MAX_DOCUMENT_PARTS: usize = 10_000;

/// Size of a selection set with its fragments expanded.
#[derive(Debug, Clone, Copy, Default)]
struct SelectionSize {
    fields: usize,
    selections: usize,
    /// Selections on the first level.
    root_fields: usize,
    depth: usize,
    nesting: usize,
}

/// Visitor that measures selection sets, each fragment once regardless of how often it is spread.
struct DocumentSizeVisitor<'a> {
    lines: &'a LineIndex<'a>,
    fragments: HashMap<&'a Name, &'a Node<FragmentDefinition>>,
    /// `None` while a fragment is being measured: visiting it again is a cycle.
    fragment_sizes: HashMap<&'a Name, Option<SelectionSize>>,
    parts: usize,
    introspection: Option<SourceSpan>,
    federation: Option<SourceSpan>,
}

impl<'a> DocumentSizeVisitor<'a> {
    fn new(document: &'a Document, lines: &'a LineIndex<'a>) -> Self {
        let fragments = document.definitions.iter().filter_map(|definition| match definition {
            Definition::FragmentDefinition(fragment) => Some((&fragment.name, fragment)),
            _ => None,
        });
        let (fragment_sizes, introspection, federation) = (HashMap::new(), None, None);
        Self { lines, fragments: fragments.collect(), fragment_sizes, parts: 0, introspection, federation }
    }

    fn measure_selection_set(
        &mut self,
        selections: &'a [Selection],
        level: usize,
        span: Option<SourceSpan>,
    ) -> Result<SelectionSize, ServerError> {
        let mut total = SelectionSize::default();
        for selection in selections {
            self.parts += 1;
            let size = match selection {
                Selection::Field(field) => {
                    self.count_arguments(&field.arguments);
                    self.count_directives(&field.directives);
                    if ["__schema", "__type"].contains(&field.name.as_str()) {
                        self.introspection = field.location();
                    }
                    if ["_entities", "_service"].contains(&field.name.as_str()) {
                        self.federation = field.location();
                    }
                    let child_size = self.measure_selection_set(&field.selection_set, level + 1, field.location())?;
                    let fields = child_size.fields.saturating_add(1);
                    SelectionSize { fields, root_fields: 1, depth: child_size.depth + 1, ..child_size }
                }
                Selection::InlineFragment(fragment) => {
                    self.count_directives(&fragment.directives);
                    self.measure_selection_set(&fragment.selection_set, level + 1, fragment.location())?
                }
                Selection::FragmentSpread(spread) => {
                    self.count_directives(&spread.directives);
                    self.measure_fragment(&spread.fragment_name, level + 1, spread.location())?
                }
            };
            total.fields = total.fields.saturating_add(size.fields);
            total.selections = total.selections.saturating_add(size.selections).saturating_add(1);
            total.root_fields = total.root_fields.saturating_add(size.root_fields);
            total.depth = total.depth.max(size.depth);
            total.nesting = total.nesting.max(size.nesting + 1);
        }
        if level + total.nesting > MAX_SELECTION_NESTING {
            return Err(self.too_deep_error(span));
        }
        Ok(total)
    }

    fn measure_fragment(
        &mut self,
        name: &'a Name,
        level: usize,
        span: Option<SourceSpan>,
    ) -> Result<SelectionSize, ServerError> {
        match self.fragment_sizes.get(name) {
            Some(Some(size)) if level + size.nesting > MAX_SELECTION_NESTING => return Err(self.too_deep_error(span)),
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("Cannot spread fragment \"{name}\" within itself.");
                return Err(error_at(message, self.lines.position_of_span(span)));
            }
            None => {}
        }
        // The validator reports undefined fragments.
        let Some(fragment) = self.fragments.get(name).copied() else { return Ok(SelectionSize::default()) };
        if level > MAX_SELECTION_NESTING {
            return Err(self.too_deep_error(span));
        }
        self.fragment_sizes.insert(name, None);
        self.parts += 1;
        self.count_directives(&fragment.directives);
        let size = self.measure_selection_set(&fragment.selection_set, level, fragment.location())?;
        self.fragment_sizes.insert(name, Some(size));
        Ok(size)
    }

    fn count_directives(&mut self, directives: &DirectiveList) {
        self.parts += directives.len();
        for directive in directives {
            self.count_arguments(&directive.arguments);
        }
    }

    fn count_arguments(&mut self, arguments: &[Node<Argument>]) {
        self.parts += arguments.len();
        for argument in arguments {
            self.count_value(&argument.value);
        }
    }

    /// Counts the elements of lists and objects. The parser limits their nesting.
    fn count_value(&mut self, value: &Value) {
        match value {
            Value::List(items) => {
                self.parts += items.len();
                for item in items {
                    self.count_value(item);
                }
            }
            Value::Object(fields) => {
                self.parts += fields.len();
                for (_, value) in fields {
                    self.count_value(value);
                }
            }
            _ => {}
        }
    }

    fn too_deep_error(&self, span: Option<SourceSpan>) -> ServerError {
        let message = format!("Selections and fragments nest more than {MAX_SELECTION_NESTING} levels deep.");
        self.too_complex_error(message, span)
    }

    fn too_complex_error(&self, message: String, span: Option<SourceSpan>) -> ServerError {
        let mut error = error_at(message, self.lines.position_of_span(span));
        error.extensions.get_or_insert_default().set("code", PublicErrorCode::QueryTooComplex.as_str());
        error
    }
}

/// Limits of documents.
#[derive(Debug, Clone, Copy)]
pub struct DocumentLimits<'a> {
    /// Maximum sizes.
    pub config: &'a GraphqlConfig,
    /// Whether introspection is allowed.
    pub allows_introspection: bool,
}

/// Size of a document within its limits.
#[derive(Debug, Clone, Copy)]
pub struct DocumentSize {
    /// Selections, arguments, values, directives and variables as written.
    pub parts: usize,
    /// Nesting depth of the fields of the deepest operation.
    pub depth: usize,
}

/// Checks the size and depth of a document, and rejects introspection and federation where they are disabled.
/// Runs in time proportional
/// to the text, not to its expanded fragments.
///
/// # Errors
/// Returns an error that names the exceeded limit.
pub fn check_document_limits(
    document: &Document,
    lines: &LineIndex<'_>,
    limits: DocumentLimits<'_>,
) -> Result<DocumentSize, ServerError> {
    let DocumentLimits { config: limits, allows_introspection } = limits;
    let mut visitor = DocumentSizeVisitor::new(document, lines);
    let too_many_fields_message =
        format!("The document has more than {} fields with its fragments expanded.", limits.max_fields);
    let (mut fields, mut selections, mut depth) = (0_usize, 0_usize, 0_usize);
    for definition in &document.definitions {
        match definition {
            // Unused fragments are measured too: the validator traverses them.
            Definition::FragmentDefinition(fragment) => {
                let size = visitor.measure_fragment(&fragment.name, 0, fragment.location())?;
                if size.fields > limits.max_fields {
                    return Err(visitor.too_complex_error(too_many_fields_message, fragment.location()));
                }
            }
            Definition::OperationDefinition(operation) => {
                let span = operation.location();
                visitor.parts += 1 + operation.variables.len();
                visitor.count_directives(&operation.directives);
                for variable in &operation.variables {
                    visitor.count_directives(&variable.directives);
                    if let Some(default) = &variable.default_value {
                        visitor.count_value(default);
                    }
                }
                let size = visitor.measure_selection_set(&operation.selection_set, 0, span)?;
                fields = fields.saturating_add(size.fields);
                selections = selections.saturating_add(size.selections);
                depth = depth.max(size.depth);
                if size.depth > limits.max_depth {
                    let (depth, limit) = (size.depth, limits.max_depth);
                    let message = format!("The operation nests {depth} levels deep; the limit is {limit}.");
                    return Err(visitor.too_complex_error(message, span));
                }
                if size.root_fields > limits.max_root_fields {
                    let message = format!("The operation has more than {} root fields.", limits.max_root_fields);
                    return Err(visitor.too_complex_error(message, span));
                }
                if fields > limits.max_fields {
                    return Err(visitor.too_complex_error(too_many_fields_message, span));
                }
            }
            // The validator rejects type definitions.
            _ => {}
        }
    }
    if visitor.parts > MAX_DOCUMENT_PARTS || selections > MAX_DOCUMENT_PARTS {
        let message =
            format!("The document has more than {MAX_DOCUMENT_PARTS} selections, arguments, values and variables.");
        return Err(visitor.too_complex_error(message, None));
    }
    if let Some(span) = visitor.federation.filter(|_| !limits.federation) {
        return Err(error_at("Federation is disabled.", lines.position_of_span(Some(span))));
    }
    match visitor.introspection.filter(|_| !allows_introspection) {
        Some(span) => Err(error_at("Introspection is disabled.", lines.position_of_span(Some(span)))),
        None => Ok(DocumentSize { parts: visitor.parts, depth }),
    }
}

/// Checks the number of root fields of an operation in a valid document, including aliases.
///
/// # Errors
/// Returns an error if there are more than `max_root_fields`.
pub fn check_root_fields(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    max_root_fields: usize,
) -> Result<(), ServerError> {
    let mut selection_sets = vec![&operation.selection_set.node];
    let mut field_count = 0_usize;
    while let Some(selection_set) = selection_sets.pop() {
        for selection in &selection_set.items {
            match &selection.node {
                types::Selection::Field(_) => field_count += 1,
                types::Selection::InlineFragment(fragment) => selection_sets.push(&fragment.node.selection_set.node),
                types::Selection::FragmentSpread(spread) => {
                    let fragment = document.fragments.get(&spread.node.fragment_name.node);
                    selection_sets.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                }
            }
        }
    }
    if field_count <= max_root_fields {
        return Ok(());
    }
    let mut error = ServerError::new(
        format!("A mutation may have at most {max_root_fields} root fields; this has {field_count}."),
        None,
    );
    error.extensions.get_or_insert_default().set("code", PublicErrorCode::QueryTooComplex.as_str());
    Err(error)
}

#[cfg(test)]
mod tests;
