//! One field of an object that is resolved in batches.

use heck::ToLowerCamelCase;
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Error, Expr, FnArg, ImplItemFn, Meta, Pat, PatType, Result, ReturnType, Token, Type, Visibility,
    parse_quote, punctuated::Punctuated,
};

use crate::columns::ObjectRow;

/// Field that batches resolve.
pub struct BatchedField {
    /// Name in the schema.
    pub name: String,
    /// Type that its function returns.
    pub output: Type,
    /// Whether it loads data itself.
    pub loads: bool,
    /// Values of the field for `objects`, in the context `field`.
    pub values: TokenStream,
    /// `ColumnSet` that it reads for a `selection`; `None` without a row.
    pub columns: Option<TokenStream>,
}

/// Parameters of a function.
#[derive(Default)]
struct Parameters {
    uses_context: bool,
    /// Whether the function reads its object.
    reads_object: bool,
    /// Name and key of the load.
    load: Option<(Ident, Expr)>,
    is_load_optional: bool,
    /// Name and optional key of a second load, whose key may use what the first one returns.
    next_load: Option<(Ident, Expr)>,
    /// Arguments in the schema.
    arguments: Vec<PatType>,
    /// Statements that read the arguments in a batch.
    argument_readers: Vec<TokenStream>,
    /// Values for a call of the function.
    values: Vec<TokenStream>,
}

impl BatchedField {
    /// Returns the resolver for `#[Object]`, the function that computes the field, and the field.
    pub fn from_method(
        mut method: ImplItemFn,
        row: Option<&ObjectRow>,
    ) -> Result<(TokenStream, ImplItemFn, BatchedField)> {
        reject_options(&method.attrs, "graphql", &["complexity", "deprecation"])?;
        let stated_columns = take_attribute(&mut method.attrs, "columns");
        let mut function = method.clone();
        function.sig.ident = format_ident!("batched_{}", method.sig.ident);
        function.vis = Visibility::Inherited;
        // Description and options belong to the resolver, lint levels to the function.
        let is_option = |attribute: &Attribute| ["doc", "graphql"].iter().any(|name| attribute.path().is_ident(name));
        function.attrs.retain(|attribute| !is_option(attribute));
        method.attrs.retain(is_option);
        let mut parameters = Parameters::take_from(&mut function)?;
        let ReturnType::Type(_, output) = &method.sig.output else {
            return Err(Error::new_spanned(&method.sig, "a field has a type"));
        };
        let key = parameters.load.as_ref().map(|(_, key)| key);
        let columns = match stated_columns {
            Some(attribute) => Some(attribute.parse_args()?),
            None => row.map(|row| row.column_set(&function.block, key)),
        };
        parameters.reads_object = mentions_self(function.block.to_token_stream());
        parameters.adapt_signature(&mut function);
        let field = Self {
            name: method.sig.ident.to_string().to_lower_camel_case(),
            output: *output.clone(),
            loads: parameters.load.is_some(),
            values: parameters.generate_values(&function.sig.ident),
            columns,
        };
        Ok((parameters.generate_resolver(&method, output, &function.sig.ident), function, field))
    }
}

impl Parameters {
    /// Collects the parameters of a function and removes their attributes.
    fn take_from(function: &mut ImplItemFn) -> Result<Self> {
        let mut parameters = Self::default();
        for parameter in &mut function.sig.inputs {
            let FnArg::Typed(argument) = parameter else { continue };
            let Pat::Ident(pattern) = &*argument.pat else {
                return Err(Error::new_spanned(argument, "a parameter of a field has a name"));
            };
            let (name, ty) = (pattern.ident.clone(), &argument.ty);
            let loads = ["load", "load_optional"].map(|load| take_attribute(&mut argument.attrs, load));
            parameters.is_load_optional |= loads[1].is_some();
            if let Some(load) = take_attribute(&mut argument.attrs, "load_next") {
                parameters.values.push(quote!(#name));
                let next_load = (name, load.parse_args()?);
                if parameters.load.is_none() || parameters.next_load.replace(next_load).is_some() {
                    return Err(Error::new_spanned(load, "a second load follows one load"));
                }
            } else if let Some(load) = loads.into_iter().flatten().next() {
                parameters.values.push(quote!(#name));
                if parameters.load.replace((name, load.parse_args()?)).is_some() {
                    return Err(Error::new_spanned(load, "a field has at most one load"));
                }
            } else if matches!(&**ty, Type::Reference(reference) if is_path_to(&reference.elem, "RequestContext")) {
                parameters.uses_context = true;
                parameters.values.push(quote!(#name));
            } else {
                reject_options(&argument.attrs, "graphql", &["desc"])?;
                let schema_name = name.to_string().to_lower_camel_case();
                parameters.values.push(quote!(::core::clone::Clone::clone(&#name)));
                parameters.argument_readers.push(quote! {
                    let #name: #ty = match field.argument(#schema_name) {
                        Ok(value) => value,
                        Err(error) => return field.fail_all(objects.len(), &error),
                    };
                });
                parameters.arguments.push(argument.clone());
                argument.attrs.clear();
            }
        }
        Ok(parameters)
    }

    /// Makes the signature match the use of the parameters: without the object if the function does not read it, and
    /// with owned values moved into the function's variables.
    fn adapt_signature(&self, function: &mut ImplItemFn) {
        if !self.reads_object {
            function.sig.inputs =
                function.sig.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).cloned().collect();
        }
        let mut moves = Vec::new();
        for input in &mut function.sig.inputs {
            let FnArg::Typed(PatType { pat, ty, .. }) = input else { continue };
            let Pat::Ident(pattern) = &**pat else { continue };
            if matches!(&**ty, Type::Reference(_)) {
                continue;
            }
            let parameter = format_ident!("{}_parameter", pattern.ident);
            moves.push(parse_quote!(let #pattern = #parameter;));
            **pat = parse_quote!(#parameter);
        }
        function.block.stmts.splice(0..0, moves);
    }

    /// Generates a call of the function for an object.
    fn call(&self, object: &TokenStream, function: &Ident) -> TokenStream {
        let values = &self.values;
        if self.reads_object { quote!(#object.#function(#(#values),*)) } else { quote!(Self::#function(#(#values),*)) }
    }

    /// Returns the key of the load as an `Option`.
    fn optional_key(&self, key: &Expr) -> TokenStream {
        if self.is_load_optional { quote!(#key) } else { quote!(Some(#key)) }
    }

    /// Generates the resolver: it loads what the function needs, and calls it.
    fn generate_resolver(&self, method: &ImplItemFn, output: &Type, function: &Ident) -> TokenStream {
        let (attributes, visibility, name) = (&method.attrs, &method.vis, &method.sig.ident);
        let Self { arguments, .. } = self;
        let is_result = is_path_to(output, "Result");
        let (mut output, mut result) = (quote!(#output), self.call(&quote!(self), function));
        let load = self.load.as_ref().map(|(value, key)| {
            let key = self.optional_key(key);
            quote! {
                let selection = crate::graphql::batched::Selection::of_field(ctx);
                let _ = selection;
                let #value = match #key {
                    Some(key) => context.load(key).await?,
                    None => None,
                };
            }
        });
        let next_load = self.next_load.as_ref().zip(self.load.as_ref()).map(|((value, key), (first, _))| {
            quote! {
                let next_key = {
                    let #first = &#first;
                    #key
                };
                let #value = match next_key {
                    Some(key) => context.load(key).await?,
                    None => None,
                };
            }
        });
        if load.is_some() && !is_result {
            (output, result) = (quote!(crate::base::Result<#output>), quote!(Ok(#result)));
        }
        let uses_context = self.uses_context || load.is_some();
        let ctx = uses_context.then(|| quote!(ctx: &::async_graphql::Context<'_>,));
        let context = uses_context.then(|| quote!(let context = crate::graphql::context::request_context(ctx);));
        quote! {
            #(#attributes)*
            #visibility async fn #name(&self, #ctx #(#arguments),*) -> #output {
                #context
                #load
                #next_load
                #result
            }
        }
    }

    /// Generates the values of the field for `objects`.
    fn generate_values(&self, function: &Ident) -> TokenStream {
        let argument_readers = &self.argument_readers;
        let object = if self.reads_object { quote!(object) } else { quote!(_) };
        let result = self.call(&object, function);
        let field_values = match &self.load {
            None => quote!(field.render(objects.iter().map(move |#object| #result))),
            Some((value, key)) => {
                let key = replace_self(self.optional_key(key));
                // Each closure owns the arguments.
                let clones = self.arguments.iter().map(|PatType { pat, .. }| {
                    quote! {
                        let #pat = ::core::clone::Clone::clone(&#pat);
                        let _ = &#pat;
                    }
                });
                let key_of = {
                    let clones = clones.clone();
                    quote!({ #(#clones)* move |object| #key })
                };
                match &self.next_load {
                    None => quote!(field.load(objects, #key_of, move |#object, #value| #result)),
                    Some((next_value, next_key)) => {
                        let next_key = replace_self(next_key.to_token_stream());
                        let next_key_of = quote!({ #(#clones)* move |object, #value| #next_key });
                        quote! {
                            field.load_in_turn(
                                objects,
                                #key_of,
                                #next_key_of,
                                move |#object, #value, #next_value| #result,
                            )
                        }
                    }
                }
            }
        };
        quote! {{
            let (context, selection) = (field.batch.request_context, field.selection);
            let _ = (context, selection);
            #(#argument_readers)*
            #field_values
        }}
    }
}

/// Rejects options that the executor applies when it resolves a field, such as guards.
pub fn reject_options(attributes: &[Attribute], name: &str, allowed: &[&str]) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(name)) {
        let Meta::List(list) = &attribute.meta else { continue };
        let options = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        if let Some(option) = options.iter().find(|option| !allowed.iter().any(|name| option.path().is_ident(name))) {
            return Err(Error::new_spanned(option, "batches do not apply this option; an `async fn` may have it"));
        }
    }
    Ok(())
}

/// Returns whether tokens contain `self`.
fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions_self(group.stream()),
        TokenTree::Ident(ident) => ident == "self",
        _ => false,
    })
}

fn take_attribute(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let index = attributes.iter().position(|attribute| attribute.path().is_ident(name))?;
    Some(attributes.remove(index))
}

fn is_path_to(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == name))
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
