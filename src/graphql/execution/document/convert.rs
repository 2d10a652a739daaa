//! Converts a validated document into the executor's types, with the positions of the original text.

use std::collections::HashMap;

use apollo_compiler::{
    Name as SourceName, Node,
    ast::{self, Definition},
    parser::SourceSpan,
};
use async_graphql::{
    Name, Number, Positioned, ServerError,
    indexmap::IndexMap,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread, InlineFragment,
        OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition, VariableDefinition,
    },
};
use async_graphql_value::Value;

use super::line_index::LineIndex;

/// Argument name and value.
type NamedValue = (Positioned<Name>, Positioned<Value>);

/// Converts a document.
///
/// # Errors
/// Returns an error for a number outside the range of JSON: a custom scalar accepts any number.
pub(super) fn convert_document(ast: &ast::Document, lines: &LineIndex<'_>) -> Result<ExecutableDocument, ServerError> {
    let converter = DocumentConverter { lines };
    let mut anonymous = None;
    let mut named = HashMap::new();
    let mut fragments = HashMap::new();
    for definition in &ast.definitions {
        match definition {
            Definition::OperationDefinition(operation) => {
                let converted = converter.positioned(operation.location(), converter.convert_operation(operation)?);
                match &operation.name {
                    Some(name) => drop(named.insert(Name::new(name), converted)),
                    None => anonymous = Some(converted),
                }
            }
            Definition::FragmentDefinition(fragment) => {
                let converted = converter.positioned(fragment.location(), converter.convert_fragment(fragment)?);
                fragments.insert(Name::new(&fragment.name), converted);
            }
            // Type definitions are not valid in an executable document.
            _ => {}
        }
    }
    // In a valid document an anonymous operation is the only operation.
    let operations = anonymous.map_or(DocumentOperations::Multiple(named), DocumentOperations::Single);
    Ok(ExecutableDocument { operations, fragments })
}

/// Converts the type of an operation.
pub(super) fn convert_operation_type(ty: ast::OperationType) -> OperationType {
    match ty {
        ast::OperationType::Query => OperationType::Query,
        ast::OperationType::Mutation => OperationType::Mutation,
        ast::OperationType::Subscription => OperationType::Subscription,
    }
}

struct DocumentConverter<'a> {
    lines: &'a LineIndex<'a>,
}

impl DocumentConverter<'_> {
    fn positioned<T>(&self, span: Option<SourceSpan>, node: T) -> Positioned<T> {
        Positioned::new(node, self.lines.position_of_span(span))
    }

    fn convert_name(&self, name: &SourceName) -> Positioned<Name> {
        self.positioned(name.location(), Name::new(name))
    }

    fn convert_operation(
        &self,
        operation: &Node<ast::OperationDefinition>,
    ) -> Result<OperationDefinition, ServerError> {
        let variable = |definition: &Node<ast::VariableDefinition>| {
            Ok(self.positioned(definition.location(), self.convert_variable(definition)?))
        };
        let variables: Result<_, ServerError> = operation.variables.iter().map(variable).collect();
        Ok(OperationDefinition {
            ty: convert_operation_type(operation.operation_type),
            variable_definitions: variables?,
            directives: self.convert_directives(&operation.directives)?,
            selection_set: self.convert_selection_set(&operation.selection_set, operation.location())?,
        })
    }

    fn convert_variable(&self, variable: &ast::VariableDefinition) -> Result<VariableDefinition, ServerError> {
        let text = variable.ty.to_string();
        let var_type = Type::new(&text).ok_or_else(|| {
            ServerError::new(
                format!("\"{text}\" is not a type."),
                Some(self.lines.position_of_span(variable.ty.location())),
            )
        })?;
        let default = match &variable.default_value {
            // Constants contain no variables, so every constant converts to a value.
            Some(value) => {
                self.convert_value(value)?.into_const().map(|constant| self.positioned(value.location(), constant))
            }
            None => None,
        };
        Ok(VariableDefinition {
            name: self.convert_name(&variable.name),
            var_type: self.positioned(variable.ty.location(), var_type),
            directives: self.convert_directives(&variable.directives)?,
            default_value: default,
        })
    }

    fn convert_fragment(&self, fragment: &Node<ast::FragmentDefinition>) -> Result<FragmentDefinition, ServerError> {
        Ok(FragmentDefinition {
            type_condition: self.convert_type_condition(&fragment.type_condition),
            directives: self.convert_directives(&fragment.directives)?,
            selection_set: self.convert_selection_set(&fragment.selection_set, fragment.location())?,
        })
    }

    fn convert_type_condition(&self, name: &SourceName) -> Positioned<TypeCondition> {
        self.positioned(name.location(), TypeCondition { on: self.convert_name(name) })
    }

    fn convert_selection_set(
        &self,
        selections: &[ast::Selection],
        span: Option<SourceSpan>,
    ) -> Result<Positioned<SelectionSet>, ServerError> {
        let items = selections.iter().map(|selection| self.convert_selection(selection)).collect::<Result<_, _>>()?;
        Ok(self.positioned(span, SelectionSet { items }))
    }

    fn convert_selection(&self, selection: &ast::Selection) -> Result<Positioned<Selection>, ServerError> {
        Ok(match selection {
            ast::Selection::Field(field) => {
                let span = field.location();
                let converted = Field {
                    alias: field.alias.as_ref().map(|alias| self.convert_name(alias)),
                    name: self.convert_name(&field.name),
                    arguments: self.convert_arguments(&field.arguments)?,
                    directives: self.convert_directives(&field.directives)?,
                    selection_set: self.convert_selection_set(&field.selection_set, span)?,
                };
                self.positioned(span, Selection::Field(self.positioned(span, converted)))
            }
            ast::Selection::InlineFragment(fragment) => {
                let span = fragment.location();
                let converted = InlineFragment {
                    type_condition: fragment.type_condition.as_ref().map(|name| self.convert_type_condition(name)),
                    directives: self.convert_directives(&fragment.directives)?,
                    selection_set: self.convert_selection_set(&fragment.selection_set, span)?,
                };
                self.positioned(span, Selection::InlineFragment(self.positioned(span, converted)))
            }
            ast::Selection::FragmentSpread(spread) => {
                let span = spread.location();
                let converted = FragmentSpread {
                    fragment_name: self.convert_name(&spread.fragment_name),
                    directives: self.convert_directives(&spread.directives)?,
                };
                self.positioned(span, Selection::FragmentSpread(self.positioned(span, converted)))
            }
        })
    }

    fn convert_directives(&self, directives: &ast::DirectiveList) -> Result<Vec<Positioned<Directive>>, ServerError> {
        let directive = |node: &Node<ast::Directive>| {
            let converted =
                Directive { name: self.convert_name(&node.name), arguments: self.convert_arguments(&node.arguments)? };
            Ok(self.positioned(node.location(), converted))
        };
        directives.iter().map(directive).collect()
    }

    fn convert_arguments(&self, arguments: &[Node<ast::Argument>]) -> Result<Vec<NamedValue>, ServerError> {
        let argument = |node: &Node<ast::Argument>| {
            Ok((
                self.convert_name(&node.name),
                self.positioned(node.value.location(), self.convert_value(&node.value)?),
            ))
        };
        arguments.iter().map(argument).collect()
    }

    fn convert_value(&self, value: &Node<ast::Value>) -> Result<Value, ServerError> {
        Ok(match &**value {
            ast::Value::Null => Value::Null,
            ast::Value::Enum(name) => Value::Enum(Name::new(name)),
            ast::Value::Variable(name) => Value::Variable(Name::new(name)),
            ast::Value::String(text) => Value::String(text.clone()),
            ast::Value::Float(number) => Value::Number(self.convert_number(number.as_str(), value)?),
            ast::Value::Int(number) => Value::Number(self.convert_number(number.as_str(), value)?),
            ast::Value::Boolean(boolean) => Value::Boolean(*boolean),
            ast::Value::List(items) => {
                Value::List(items.iter().map(|item| self.convert_value(item)).collect::<Result<_, _>>()?)
            }
            ast::Value::Object(fields) => {
                let field = |(name, value): &(SourceName, _)| Ok((Name::new(name), self.convert_value(value)?));
                Value::Object(fields.iter().map(field).collect::<Result<IndexMap<_, _>, ServerError>>()?)
            }
        })
    }

    fn convert_number(&self, text: &str, value: &Node<ast::Value>) -> Result<Number, ServerError> {
        let out_of_range = || {
            let message = "The number is too large.";
            ServerError::new(message, Some(self.lines.position_of_span(value.location())))
        };
        text.parse().map_err(|_| out_of_range())
    }
}
