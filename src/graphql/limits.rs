//! Limits that are checked before a document is validated: the work of the validation grows with what is counted here.

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

use super::document::{LineIndex, error_at};
use crate::{base::error::Code, infra::config::GraphqlConfig};

/// The greatest nesting of selections, nested fragments included: every walk over a document recurses once a level.
const NESTING: usize = 100;
/// The most selections, arguments, values, directives and variables of a document as it is written, and the most
/// selections of all its operations with their fragments expanded. No query of a person or a tool comes near.
const PARTS: usize = 10_000;

/// The size of a selection set with its fragments expanded.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    fields: usize,
    selections: usize,
    /// Selections on the first level.
    roots: usize,
    depth: usize,
    nesting: usize,
}

/// Measures selection sets, each fragment once, however often it is spread.
struct Measure<'a> {
    lines: &'a LineIndex<'a>,
    fragments: HashMap<&'a Name, &'a Node<FragmentDefinition>>,
    /// `None` while a fragment is being measured: meeting it again is a cycle.
    measured: HashMap<&'a Name, Option<Size>>,
    parts: usize,
    introspection: Option<SourceSpan>,
}

impl<'a> Measure<'a> {
    fn new(document: &'a Document, lines: &'a LineIndex<'a>) -> Self {
        let fragments = document.definitions.iter().filter_map(|definition| match definition {
            Definition::FragmentDefinition(fragment) => Some((&fragment.name, fragment)),
            _ => None,
        });
        let (measured, introspection) = (HashMap::new(), None);
        Self { lines, fragments: fragments.collect(), measured, parts: 0, introspection }
    }

    fn selection_set(
        &mut self,
        set: &'a [Selection],
        (level, span): (usize, Option<SourceSpan>),
    ) -> Result<Size, ServerError> {
        let mut all = Size::default();
        for selection in set {
            self.parts += 1;
            let one = match selection {
                Selection::Field(field) => {
                    self.arguments(&field.arguments);
                    self.directives(&field.directives);
                    if ["__schema", "__type"].contains(&field.name.as_str()) {
                        self.introspection = field.location();
                    }
                    let inner = self.selection_set(&field.selection_set, (level + 1, field.location()))?;
                    let fields = inner.fields.saturating_add(1);
                    Size { fields, roots: 1, depth: inner.depth + 1, ..inner }
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.directives);
                    self.selection_set(&fragment.selection_set, (level + 1, fragment.location()))?
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.directives);
                    self.fragment(&spread.fragment_name, (level + 1, spread.location()))?
                }
            };
            all.fields = all.fields.saturating_add(one.fields);
            all.selections = all.selections.saturating_add(one.selections).saturating_add(1);
            all.roots = all.roots.saturating_add(one.roots);
            all.depth = all.depth.max(one.depth);
            all.nesting = all.nesting.max(one.nesting + 1);
        }
        if level + all.nesting > NESTING {
            return Err(self.too_deep(span));
        }
        Ok(all)
    }

    fn fragment(&mut self, name: &'a Name, (level, span): (usize, Option<SourceSpan>)) -> Result<Size, ServerError> {
        match self.measured.get(name) {
            Some(Some(size)) if level + size.nesting > NESTING => return Err(self.too_deep(span)),
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("Cannot spread fragment \"{name}\" within itself.");
                return Err(error_at(message, self.lines.position(span)));
            }
            None => {}
        }
        // A fragment that is not defined is reported by the validation.
        let Some(fragment) = self.fragments.get(name).copied() else { return Ok(Size::default()) };
        if level > NESTING {
            return Err(self.too_deep(span));
        }
        self.measured.insert(name, None);
        self.parts += 1;
        self.directives(&fragment.directives);
        let size = self.selection_set(&fragment.selection_set, (level, fragment.location()))?;
        self.measured.insert(name, Some(size));
        Ok(size)
    }

    fn directives(&mut self, directives: &DirectiveList) {
        self.parts += directives.len();
        for directive in directives {
            self.arguments(&directive.arguments);
        }
    }

    fn arguments(&mut self, arguments: &[Node<Argument>]) {
        self.parts += arguments.len();
        for argument in arguments {
            self.value(&argument.value);
        }
    }

    /// Counts what lists and objects hold. They nest no deeper than the parser allows.
    fn value(&mut self, value: &Value) {
        match value {
            Value::List(items) => {
                self.parts += items.len();
                for item in items {
                    self.value(item);
                }
            }
            Value::Object(fields) => {
                self.parts += fields.len();
                for (_, value) in fields {
                    self.value(value);
                }
            }
            _ => {}
        }
    }

    fn too_deep(&self, span: Option<SourceSpan>) -> ServerError {
        let message = format!("Selections and fragments nest more than {NESTING} levels deep.");
        self.too_complex(message, span)
    }

    fn too_complex(&self, message: String, span: Option<SourceSpan>) -> ServerError {
        let mut error = error_at(message, self.lines.position(span));
        error.extensions.get_or_insert_default().set("code", Code::QueryTooComplex.as_str());
        error
    }
}

/// The size of a document that is within its limits.
#[derive(Debug, Clone, Copy)]
pub struct DocumentSize {
    /// Selections, arguments, values, directives and variables as they are written.
    pub parts: usize,
}

/// Checks the size and depth of a document, and that it does not introspect where introspection is off. Takes time in
/// proportion to the text, not to what its fragments expand to.
///
/// # Errors
/// One that names the limit.
pub fn check(
    document: &Document,
    lines: &LineIndex<'_>,
    (limits, introspection): (&GraphqlConfig, bool),
) -> Result<DocumentSize, ServerError> {
    let mut measure = Measure::new(document, lines);
    let too_many = format!("The document has more than {} fields with its fragments expanded.", limits.max_fields);
    let (mut fields, mut selections) = (0_usize, 0_usize);
    for definition in &document.definitions {
        match definition {
            // Fragments that no operation uses are measured too: the validation walks them.
            Definition::FragmentDefinition(fragment) => {
                let size = measure.fragment(&fragment.name, (0, fragment.location()))?;
                if size.fields > limits.max_fields {
                    return Err(measure.too_complex(too_many, fragment.location()));
                }
            }
            Definition::OperationDefinition(operation) => {
                let span = operation.location();
                measure.parts += 1 + operation.variables.len();
                measure.directives(&operation.directives);
                for variable in &operation.variables {
                    measure.directives(&variable.directives);
                    if let Some(default) = &variable.default_value {
                        measure.value(default);
                    }
                }
                let size = measure.selection_set(&operation.selection_set, (0, span))?;
                fields = fields.saturating_add(size.fields);
                selections = selections.saturating_add(size.selections);
                if size.depth > limits.max_depth {
                    let (depth, limit) = (size.depth, limits.max_depth);
                    let message = format!("The operation nests {depth} levels deep; the limit is {limit}.");
                    return Err(measure.too_complex(message, span));
                }
                if size.roots > limits.max_root_fields {
                    let message = format!("The operation has more than {} root fields.", limits.max_root_fields);
                    return Err(measure.too_complex(message, span));
                }
                if fields > limits.max_fields {
                    return Err(measure.too_complex(too_many, span));
                }
            }
            // Definitions of types are refused by the validation.
            _ => {}
        }
    }
    if measure.parts > PARTS || selections > PARTS {
        let message = format!("The document has more than {PARTS} selections, arguments, values and variables.");
        return Err(measure.too_complex(message, None));
    }
    match measure.introspection.filter(|_| !introspection) {
        Some(span) => {
            Err(error_at("This shop does not answer questions about its schema.", lines.position(Some(span))))
        }
        None => Ok(DocumentSize { parts: measure.parts }),
    }
}

/// Checks how many root fields an operation of a valid document has, aliases included.
///
/// # Errors
/// When there are more than `most`.
pub fn check_root_fields(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    most: usize,
) -> Result<(), ServerError> {
    let mut sets = vec![&operation.selection_set.node];
    let mut fields = 0_usize;
    while let Some(set) = sets.pop() {
        for selection in &set.items {
            match &selection.node {
                types::Selection::Field(_) => fields += 1,
                types::Selection::InlineFragment(fragment) => sets.push(&fragment.node.selection_set.node),
                types::Selection::FragmentSpread(spread) => {
                    let fragment = document.fragments.get(&spread.node.fragment_name.node);
                    sets.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                }
            }
        }
    }
    if fields <= most {
        return Ok(());
    }
    let mut error = ServerError::new(format!("A mutation may have {most} root fields; this has {fields}."), None);
    error.extensions.get_or_insert_default().set("code", Code::QueryTooComplex.as_str());
    Err(error)
}

#[cfg(test)]
mod tests;
