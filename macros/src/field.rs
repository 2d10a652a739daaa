//! One field of an object that is resolved in batches.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, Expr, FnArg, ImplItemFn, Meta, Pat, PatType, Path, Result, ReturnType, Token, Type, Visibility,
    punctuated::Punctuated,
};

use crate::columns::ObjectRow;

/// Options of `#[graphql(…)]` that apply without execution.
const STATIC_OPTIONS: [&str; 3] = ["complexity", "deprecation", "desc"];

/// Field declared by a `fn`.
pub struct BatchedField {
    /// Name in the schema.
    pub name: String,
    /// Resolver for `#[Object]`.
    pub resolver: TokenStream,
    /// Function that computes the field from loaded values.
    pub function: ImplItemFn,
    /// Value of the field for `objects`, in a batch.
    pub values: TokenStream,
    /// Expression of the field's `ColumnSet`; `None` without a row.
    pub columns: Option<TokenStream>,
}

/// Parameters of a `fn`.
#[derive(Default)]
struct FieldParameters {
    /// Names, in order.
    names: Vec<Ident>,
    uses_context: bool,
    /// Arguments of the field in the schema.
    arguments: Vec<PatType>,
    load: Option<DeclaredLoad>,
}

/// `#[load(key)]` and the parameter that receives the value.
struct DeclaredLoad {
    name: Ident,
    key: Expr,
    is_optional: bool,
}

impl BatchedField {
    /// Analyzes a `fn` of an object.
    pub fn from_method(method: &ImplItemFn, row: Option<&ObjectRow>) -> Result<Self> {
        reject_dynamic_options(&method.attrs)?;
        let mut function = method.clone();
        function.vis = Visibility::Inherited;
        function.sig.ident = format_ident!("batched_{}", method.sig.ident);
        let stated_columns = take_attribute(&mut function.attrs, "columns");
        // Description and options belong to the resolver.
        function.attrs.retain(|attribute| !is_resolver_attribute(attribute));
        let parameters = FieldParameters::take_from(&mut function)?;
        let key = parameters.load.as_ref().map(|load| &load.key);
        let columns = match (stated_columns, row) {
            (Some(attribute), Some(_)) => Some(attribute.parse_args()?),
            (Some(attribute), None) => return Err(Error::new_spanned(attribute, "the object has no row")),
            (None, row) => row.map(|row| row.column_set(&function.block, key)),
        };
        Ok(Self {
            name: to_camel_case(&method.sig.ident),
            resolver: parameters.generate_resolver(method, &function)?,
            values: parameters.generate_values(&function),
            function,
            columns,
        })
    }

    /// Returns the type that the function returns.
    pub fn output_type(&self) -> Option<&Type> {
        match &self.function.sig.output {
            ReturnType::Type(_, ty) => Some(ty),
            ReturnType::Default => None,
        }
    }
}

impl FieldParameters {
    /// Collects the parameters of a function and removes their attributes.
    fn take_from(function: &mut ImplItemFn) -> Result<Self> {
        let mut parameters = Self::default();
        for input in &mut function.sig.inputs {
            let FnArg::Typed(parameter) = input else { continue };
            let Some(name) = argument_name(parameter).cloned() else {
                return Err(Error::new_spanned(parameter, "a parameter of a field has a name"));
            };
            parameters.names.push(name.clone());
            let loads = ["load", "load_optional"].map(|option| take_attribute(&mut parameter.attrs, option));
            let is_optional = loads[1].is_some();
            if let Some(attribute) = loads.into_iter().flatten().next() {
                let load = DeclaredLoad { name, key: attribute.parse_args()?, is_optional };
                if parameters.load.replace(load).is_some() {
                    return Err(Error::new_spanned(attribute, "a field has at most one load"));
                }
            } else if is_request_context(&parameter.ty) {
                parameters.uses_context = true;
            } else {
                reject_dynamic_options(&parameter.attrs)?;
                parameters.arguments.push(parameter.clone());
                parameter.attrs.clear();
            }
        }
        Ok(parameters)
    }

    /// Generates the resolver: it loads what the function needs, and calls it.
    fn generate_resolver(&self, method: &ImplItemFn, function: &ImplItemFn) -> Result<TokenStream> {
        let (name, visibility, call) = (&method.sig.ident, &method.vis, &function.sig.ident);
        let attributes = method.attrs.iter().filter(|attribute| is_resolver_attribute(attribute));
        let (names, arguments) = (&self.names, &self.arguments);
        let ReturnType::Type(_, output) = &method.sig.output else {
            return Err(Error::new_spanned(&method.sig, "a field has a type"));
        };
        let (mut output, mut result) = (quote!(#output), quote!(self.#call(#(#names),*)));
        let mut load = None;
        if let Some(declared) = &self.load {
            if !is_result(&method.sig.output) {
                (output, result) = (quote!(crate::base::Result<#output>), quote!(Ok(#result)));
            }
            let (value, key) = (&declared.name, declared.optional_key());
            load = Some(quote! {
                let selection = crate::graphql::batched::Selection::of_field(ctx);
                let _ = selection;
                let #value = match #key {
                    Some(key) => context.load(key).await?,
                    None => None,
                };
            });
        }
        let uses_context = self.uses_context || self.load.is_some();
        let parameter = uses_context.then(|| quote!(ctx: &::async_graphql::Context<'_>,));
        let context = uses_context.then(|| quote!(let context = crate::graphql::context::request_context(ctx);));
        Ok(quote! {
            #(#attributes)*
            #visibility async fn #name(&self, #parameter #(#arguments),*) -> #output {
                #context
                #load
                #result
            }
        })
    }

    /// Generates the values of the field for `objects`.
    fn generate_values(&self, function: &ImplItemFn) -> TokenStream {
        let call = &function.sig.ident;
        let arguments = self.arguments.iter().map(|argument| {
            let (name, ty) = (&argument.pat, &argument.ty);
            let schema_name = to_camel_case(&quote!(#name));
            quote! {
                let #name: #ty = match field.argument(#schema_name) {
                    Ok(value) => value,
                    Err(error) => return field.fail_all(objects.len(), &error),
                };
            }
        });
        let is_argument = |name: &Ident| self.arguments.iter().any(|argument| argument_name(argument) == Some(name));
        let values = self
            .names
            .iter()
            .map(|name| if is_argument(name) { quote!(::core::clone::Clone::clone(&#name)) } else { quote!(#name) });
        let result = quote!(object.#call(#(#values),*));
        let uses_context = self.uses_context || self.load.is_some();
        let context = uses_context.then(|| quote!(let context = field.request_context();));
        let field_values = match &self.load {
            None => quote!(field.render(objects.iter().map(move |object| #result))),
            Some(load) => {
                let (value, key) = (&load.name, replace_self(load.optional_key()));
                quote! {
                    let selection = field.selection();
                    let _ = (context, selection);
                    field.load(objects, move |object| #key, move |object, #value| #result)
                }
            }
        };
        quote!({ #(#arguments)* #context #field_values })
    }
}

impl DeclaredLoad {
    /// Returns the key as an `Option`.
    fn optional_key(&self) -> TokenStream {
        let key = &self.key;
        if self.is_optional { quote!(#key) } else { quote!(Some(#key)) }
    }
}

/// Rejects options of `#[graphql(…)]` that the executor applies when it resolves a field, such as guards.
pub fn reject_dynamic_options(attributes: &[Attribute]) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("graphql")) {
        let options = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        for option in options.iter().filter(|option| !STATIC_OPTIONS.iter().any(|name| option.path().is_ident(name))) {
            let message = "batches do not apply this option: make the field an `async fn`, for the executor only";
            return Err(Error::new_spanned(option, message));
        }
    }
    Ok(())
}

fn take_attribute(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let index = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(attributes.remove(index))
}

fn is_resolver_attribute(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc") || attribute.path().is_ident("graphql")
}

fn argument_name(argument: &PatType) -> Option<&Ident> {
    match &*argument.pat {
        Pat::Ident(pattern) => Some(&pattern.ident),
        _ => None,
    }
}

fn is_request_context(ty: &Type) -> bool {
    matches!(ty, Type::Reference(reference) if path_ends_with(&reference.elem, "RequestContext"))
}

fn is_result(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, ty) if path_ends_with(ty, "Result"))
}

fn path_ends_with(ty: &Type, name: &str) -> bool {
    let last = |path: &Path| path.segments.last().is_some_and(|segment| segment.ident == name);
    matches!(ty, Type::Path(path) if last(&path.path))
}

/// Replaces `self` by `object`, the parameter of a closure.
fn replace_self(tokens: TokenStream) -> TokenStream {
    let replace = |token| match token {
        TokenTree::Group(group) => TokenTree::Group(Group::new(group.delimiter(), replace_self(group.stream()))),
        TokenTree::Ident(ident) if ident == "self" => TokenTree::Ident(Ident::new("object", Span::call_site())),
        token => token,
    };
    tokens.into_iter().map(replace).collect()
}

/// Returns the name in the schema: `salePrice`.
pub fn to_camel_case(name: &impl ToString) -> String {
    let mut words = name.to_string();
    while let Some(index) = words.find('_') {
        words.replace_range(index..=index + 1, &words[index + 1..index + 2].to_uppercase());
    }
    words
}
