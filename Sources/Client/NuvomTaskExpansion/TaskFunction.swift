#if Macros
  internal import SwiftParser
  internal import SwiftSyntax
  internal import SwiftSyntaxMacros

  /// A function that can be a task: what the expansion needs of it.
  struct TaskFunction {
    struct Parameter {
      /// As a caller writes it; nil for `_`.
      var label: String?
      /// Within the function, without backticks.
      var plainName: String
      /// Without `sending` and the like.
      var type: TypeSyntax
      /// With it.
      var writtenType: TypeSyntax
      var defaultValue: ExprSyntax?

      /// By which name it travels, and is asked for.
      var wireName: String { label.map { $0.filter { $0 != "`" } } ?? plainName }

      /// Within the function, as an expression.
      var name: String { plainName.isValidSwiftIdentifier(for: .variableName) ? plainName : "`\(plainName)`" }

      /// Without backticks.
      static func plain(_ token: TokenSyntax) -> String { token.identifier?.name ?? token.text }
    }

    /// Without backticks.
    let name: String
    /// As it is written.
    let token: TokenSyntax
    let parameters: [Parameter]
    /// Nil if it returns nothing.
    let result: TypeSyntax?
    let isStatic: Bool
    /// `public`, `package`, `private`, …; empty for internal.
    let access: String

    /// Nil if the function can be no task, which is then said.
    init?(
      _ declaration: some DeclSyntaxProtocol, attribute: AttributeSyntax, in context: some MacroExpansionContext
    ) {
      guard let function = declaration.as(FunctionDeclSyntax.self) else {
        context.say(.noFunction, at: attribute)
        return nil
      }
      let isStatic = function.modifiers.contains { $0.name.tokenKind == .keyword(.static) }
      guard Self.hasPlace(function, isStatic: isStatic, attribute, in: context) else { return nil }
      if let generic = function.genericParameterClause {
        context.say(.generic, at: generic)
        return nil
      }
      guard case .identifier = function.name.tokenKind else {
        context.say(.operatorFunction, at: function.name)
        return nil
      }
      token = function.name.trimmed
      name = Parameter.plain(function.name)
      self.isStatic = isStatic
      access =
        function.modifiers.map(\.name.text)
        .first { ["public", "package", "internal", "fileprivate", "private"].contains($0) }
        .map { $0 == "internal" ? "" : $0 } ?? ""
      let type = function.signature.returnClause?.type.trimmed
      if let type, Self.isOpaque(type) {
        context.say(.opaqueResult, at: function.signature.returnClause?.type ?? type)
        return nil
      }
      result = type.flatMap { Self.isVoid($0) ? nil : $0 }
      guard let parameters = Self.parameters(function, in: context) else { return nil }
      self.parameters = parameters
    }

    private static func hasPlace(
      _ function: FunctionDeclSyntax, isStatic: Bool, _ attribute: AttributeSyntax,
      in context: some MacroExpansionContext
    ) -> Bool {
      var isMember = false
      for scope in context.lexicalContext {
        if scope.is(ProtocolDeclSyntax.self) {
          context.say(.requirement, at: attribute)
          return false
        }
        if let type = scope.asProtocol((any WithGenericParametersSyntax).self),
          scope.isProtocol((any DeclGroupSyntax).self)
        {
          isMember = true
          if let generic = type.genericParameterClause {
            context.say(.genericContext, at: generic)
            return false
          }
        } else if let type = scope.as(ExtensionDeclSyntax.self) {
          isMember = true
          if let generic = type.genericWhereClause {
            context.say(.genericContext, at: generic)
            return false
          }
        } else {
          context.say(.local, at: attribute)
          return false
        }
      }
      if let modifier = function.modifiers.first(where: { $0.name.tokenKind == .keyword(.class) }) {
        context.say(.overridable, at: modifier)
        return false
      }
      if isMember && !isStatic {
        context.say(.instanceFunction, at: attribute)
        return false
      }
      return true
    }

    private static func parameters(
      _ function: FunctionDeclSyntax, in context: some MacroExpansionContext
    ) -> [Parameter]? {
      var parameters: [Parameter] = []
      var labels: Set<String> = []
      var isFit = true
      func no(_ diagnostic: TaskDiagnostic, _ node: some SyntaxProtocol) {
        context.say(diagnostic, at: node)
        isFit = false
      }
      for (number, parameter) in function.signature.parameterClause.parameters.enumerated() {
        let isUnlabelled = parameter.firstName.tokenKind == .wildcard
        let name = parameter.secondName ?? parameter.firstName
        // A parameter that the function does not use has none.
        let said = name.tokenKind == .wildcard ? "argument\(number + 1)" : Parameter.plain(name)
        var type = parameter.type.trimmed
        if let attributed = type.as(AttributedTypeSyntax.self) {
          if attributed.specifiers.contains(where: { $0.trimmedDescription == "inout" }) { no(.inOut(said), parameter) }
          type = attributed.baseType.trimmed
        }
        if let ellipsis = parameter.ellipsis { no(.variadic(said), ellipsis) }
        if isOpaque(type) { no(.opaque(said), parameter.type) }
        if type.is(FunctionTypeSyntax.self) { no(.function(said), parameter.type) }
        let label = isUnlabelled ? nil : parameter.firstName
        if let label, !labels.insert(Parameter.plain(label)).inserted { no(.sameLabel(Parameter.plain(label)), label) }
        parameters.append(
          Parameter(
            label: label.map(Self.written), plainName: said, type: type, writtenType: parameter.type.trimmed,
            defaultValue: parameter.defaultValue?.value.trimmed)
        )
      }
      return isFit ? parameters : nil
    }

    /// A label needs backticks only where a keyword could be meant.
    private static func written(_ label: TokenSyntax) -> String {
      let name = Parameter.plain(label)
      return ["inout", "var", "let"].contains(name) ? "`\(name)`" : name
    }

    private static func isVoid(_ type: TypeSyntax) -> Bool {
      if let tuple = type.as(TupleTypeSyntax.self) {
        return tuple.elements.isEmpty || (tuple.elements.count == 1 && tuple.elements.allSatisfy { isVoid($0.type) })
      }
      return ["Void", "Swift.Void"].contains(type.trimmedDescription)
    }

    /// Whether `some` is anywhere in it.
    private static func isOpaque(_ type: TypeSyntax) -> Bool {
      type.tokens(viewMode: .sourceAccurate).contains { $0.tokenKind == .keyword(.some) }
    }
  }
#endif
