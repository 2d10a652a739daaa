//! Validation rules for input values that `apollo-compiler` lacks: variables inside lists and objects, duplicate fields
//! of an object, and `@oneOf`.

use std::collections::{HashMap, HashSet};

use apollo_compiler::{
    ExecutableDocument, Name, Node,
    ast::{Argument, DirectiveList, InputValueDefinition, Type, Value, VariableDefinition},
    executable::{Operation, Selection, SelectionSet},
    parser::SourceSpan,
    schema::InputObjectType,
};
use async_graphql::ServerError;

use super::{
    errors::{MAX_REPORTED_ERRORS, error_at},
    line_index::LineIndex,
};

/// Checks a document that `apollo-compiler` accepts.
///
/// # Errors
/// Returns the first few violations.
pub(super) fn check_input_rules(document: &ExecutableDocument, lines: &LineIndex<'_>) -> Result<(), Vec<ServerError>> {
    let mut errors = Vec::new();
    for operation in document.operations.iter() {
        let variables = operation.variables.iter().map(|variable| (&variable.name, variable)).collect();
        let mut visitor =
            InputRuleVisitor { document, lines, variables, visited_fragments: HashSet::new(), errors: &mut errors };
        visitor.visit_operation(operation);
    }
    errors.truncate(MAX_REPORTED_ERRORS);
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Expected type of a value, and whether the schema has a default for it.
#[derive(Clone, Copy)]
struct InputPosition<'a> {
    ty: &'a Type,
    has_default: bool,
}

impl<'a> InputPosition<'a> {
    fn from_definition(definition: &'a InputValueDefinition) -> Self {
        Self { ty: &definition.ty, has_default: definition.default_value.is_some() }
    }
}

struct InputRuleVisitor<'a> {
    document: &'a ExecutableDocument,
    lines: &'a LineIndex<'a>,
    variables: HashMap<&'a Name, &'a Node<VariableDefinition>>,
    /// Fragments already checked for the variables of this operation.
    visited_fragments: HashSet<&'a Name>,
    errors: &'a mut Vec<ServerError>,
}

impl<'a> InputRuleVisitor<'a> {
    fn visit_operation(&mut self, operation: &'a Node<Operation>) {
        for variable in &operation.variables {
            self.visit_directives(&variable.directives);
            if let Some(default) = &variable.default_value {
                self.check_value(Some(InputPosition { ty: &variable.ty, has_default: false }), default);
            }
        }
        self.visit_directives(&operation.directives);
        self.visit_selection_set(&operation.selection_set);
    }

    fn visit_selection_set(&mut self, selection_set: &'a SelectionSet) {
        for selection in &selection_set.selections {
            self.visit_directives(selection.directives());
            match selection {
                Selection::Field(field) => {
                    self.visit_arguments(&field.arguments, &field.definition.arguments);
                    self.visit_selection_set(&field.selection_set);
                }
                Selection::InlineFragment(fragment) => self.visit_selection_set(&fragment.selection_set),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.fragment_name);
                    if let Some(fragment) = fragment.filter(|_| self.visited_fragments.insert(&spread.fragment_name)) {
                        self.visit_directives(&fragment.directives);
                        self.visit_selection_set(&fragment.selection_set);
                    }
                }
            }
        }
    }

    fn visit_directives(&mut self, directives: &'a DirectiveList) {
        for directive in directives {
            if let Some(definition) = super::schema::validation_schema().directive_definitions.get(&directive.name) {
                self.visit_arguments(&directive.arguments, &definition.arguments);
            }
        }
    }

    fn visit_arguments(&mut self, arguments: &'a [Node<Argument>], definitions: &[Node<InputValueDefinition>]) {
        for argument in arguments {
            let definition = definitions.iter().find(|definition| definition.name == argument.name);
            self.check_value(definition.map(|definition| InputPosition::from_definition(definition)), &argument.value);
        }
    }

    /// Checks a value; the contents of a custom scalar have no expected type.
    fn check_value(&mut self, position: Option<InputPosition<'_>>, value: &'a Node<Value>) {
        match &**value {
            Value::Variable(name) => self.check_variable(position, name, value.location()),
            Value::List(items) => {
                let item = position.filter(|position| position.ty.is_list()).map(|position| position.ty.item_type());
                for value in items {
                    self.check_value(item.map(|ty| InputPosition { ty, has_default: false }), value);
                }
            }
            Value::Object(fields) => {
                let mut seen_names = HashSet::new();
                for (name, value) in fields {
                    if !seen_names.insert(name) {
                        self.add_error(
                            format!("There can be only one input field named \"{name}\"."),
                            value.location(),
                        );
                    }
                }
                let input_object = position.and_then(|position| {
                    super::schema::validation_schema().get_input_object(position.ty.inner_named_type())
                });
                if let Some(input_object) = input_object {
                    self.check_one_of(input_object, fields, value.location());
                }
                for (name, value) in fields {
                    let definition = input_object.and_then(|input_object| input_object.fields.get(name));
                    self.check_value(definition.map(|definition| InputPosition::from_definition(definition)), value);
                }
            }
            _ => {}
        }
    }

    fn check_variable(&mut self, position: Option<InputPosition<'_>>, name: &Name, span: Option<SourceSpan>) {
        let Some(variable) = self.variables.get(name).copied() else {
            self.add_error(format!("Variable \"${name}\" is not defined."), span);
            return;
        };
        let Some(InputPosition { ty, has_default }) = position else { return };
        let accepts_null = variable.default_value.as_ref().is_some_and(|default| !default.is_null()) || has_default;
        let is_allowed = if ty.is_non_null() && !variable.ty.is_non_null() {
            accepts_null && variable.ty.is_assignable_to(&ty.clone().nullable())
        } else {
            variable.ty.is_assignable_to(ty)
        };
        if !is_allowed {
            let message =
                format!("Variable \"${name}\" of type \"{}\" used in position expecting type \"{ty}\".", variable.ty);
            self.add_error(message, span);
        }
    }

    /// Checks that exactly one field of a `@oneOf` object is set, and not null.
    fn check_one_of(
        &mut self,
        input_object: &InputObjectType,
        fields: &[(Name, Node<Value>)],
        span: Option<SourceSpan>,
    ) {
        if !is_one_of(input_object) {
            return;
        }
        let has_one_value = match fields {
            [(_, value)] => match &**value {
                Value::Null => false,
                Value::Variable(name) => self.variables.get(name).is_none_or(|variable| variable.ty.is_non_null()),
                _ => true,
            },
            _ => false,
        };
        if !has_one_value {
            let message =
                format!("Exactly one field of \"{}\" must be given, and it must not be null.", input_object.name);
            self.add_error(message, span);
        }
    }

    fn add_error(&mut self, message: String, span: Option<SourceSpan>) {
        if self.errors.len() < MAX_REPORTED_ERRORS && !self.errors.iter().any(|error| error.message == message) {
            self.errors.push(error_at(message, self.lines.position_of_span(span)));
        }
    }
}

/// Returns whether exactly one field of the input object must be set.
#[must_use]
pub fn is_one_of(input_object: &InputObjectType) -> bool {
    input_object.directives.has("oneOf")
}
