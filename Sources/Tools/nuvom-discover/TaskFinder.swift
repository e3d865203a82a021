#if Macros
  import SwiftParser
  import SwiftParserDiagnostics
  import SwiftSyntax

  /// Reads one Swift file as the compiler's parser does, without knowing what its names mean.
  final class TaskFinder: SyntaxVisitor {
    private var facts = SourceFacts()
    private let converter: SourceLocationConverter
    private var types: [EnclosingType] = []
    private var branches: [SourceFacts.Branch] = []
    private var conditions = 0

    private struct EnclosingType {
      var isGeneric: Bool
    }

    static func facts(of source: String) -> SourceFacts {
      let tree = Parser.parse(source: source)
      let finder = TaskFinder(converter: SourceLocationConverter(fileName: "", tree: tree))
      finder.walk(tree)
      if tree.hasError {
        let errors = ParseDiagnosticsGenerator.diagnostics(for: tree).filter { $0.diagMessage.severity == .error }
        finder.facts.faults = errors.map { error in
          SourceFacts.Fault(line: error.location(converter: finder.converter).line, message: error.message)
        }
      }
      return finder.facts
    }

    private init(converter: SourceLocationConverter) {
      self.converter = converter
      super.init(viewMode: .sourceAccurate)
    }

    // MARK: Functions

    override func visit(_ node: FunctionDeclSyntax) -> SyntaxVisitorContinueKind {
      for attribute in attributes(node.attributes) {
        guard let spelling = taskSpelling(attribute) else { continue }
        let arguments = attribute.arguments?.as(LabeledExprListSyntax.self) ?? []
        let line = line(node.name)
        func no(_ reason: String) {
          facts.remarks.append(
            SourceFacts.Remark(spelling: spelling, line: line, message: "\(node.name.text) is no task: \(reason)"))
        }
        if !types.isEmpty && !isStatic(node.modifiers) {
          no("@NuvomTask is for global and static functions")
        } else if node.genericParameterClause != nil || types.contains(where: \.isGeneric) {
          no("@NuvomTask is for functions without generic parameters")
        } else if let name = explicitName(arguments, default: baseName(node.name)) {
          append(spelling, baseName(node.name), name, line, arguments)
        } else {
          no("its name must be a string literal, so that it can be known without running the program")
        }
      }
      return .skipChildren
    }

    /// `@NuvomTask`, or the same with one of our modules before it.
    private func taskSpelling(_ attribute: AttributeSyntax) -> SourceFacts.Task.Spelling? {
      if let type = attribute.attributeName.as(IdentifierTypeSyntax.self) {
        return baseName(type.name) == TaskIndex.attribute ? .attribute : nil
      }
      guard let type = attribute.attributeName.as(MemberTypeSyntax.self), baseName(type.name) == TaskIndex.attribute,
        let module = type.baseType.as(IdentifierTypeSyntax.self), TaskIndex.modules.contains(baseName(module.name))
      else { return nil }
      return .qualified
    }

    private func attributes(_ list: AttributeListSyntax) -> [AttributeSyntax] {
      list.flatMap { element -> [AttributeSyntax] in
        switch element {
        case .attribute(let attribute): return [attribute]
        case .ifConfigDecl(let config):
          return parts(config).flatMap { _, part in
            part.elements?.as(AttributeListSyntax.self).map { attributes($0) } ?? []
          }
        }
      }
    }

    // MARK: Constants

    override func visit(_ node: VariableDeclSyntax) -> SyntaxVisitorContinueKind {
      guard types.isEmpty || isStatic(node.modifiers) else { return .skipChildren }
      for binding in node.bindings {
        guard let pattern = binding.pattern.as(IdentifierPatternSyntax.self), let value = binding.initializer?.value,
          let (spelling, arguments) = definition(value, annotation: binding.typeAnnotation?.type)
        else { continue }
        let constant = baseName(pattern.identifier)
        if let name = explicitName(arguments, default: nil) {
          append(spelling, constant, name, line(pattern.identifier), arguments)
        } else {
          facts.remarks.append(
            SourceFacts.Remark(
              spelling: spelling, line: line(pattern.identifier),
              message:
                "\(constant) is left out: its task's name must be a string literal, so that it can be known without "
                + "running the program"))
        }
      }
      return .skipChildren
    }

    /// The type that an expression makes a value of, and with what, if that may be a `TaskDefinition`.
    private func definition(
      _ value: ExprSyntax, annotation: TypeSyntax?
    ) -> (SourceFacts.Task.Spelling, LabeledExprListSyntax)? {
      if let value = value.as(TryExprSyntax.self) { return definition(value.expression, annotation: annotation) }
      if let value = value.as(TupleExprSyntax.self), value.elements.count == 1, let only = value.elements.first {
        return definition(only.expression, annotation: annotation)
      }
      guard let call = value.as(FunctionCallExprSyntax.self) else { return nil }
      var called = call.calledExpression
      if let member = called.as(MemberAccessExprSyntax.self), member.declName.baseName.tokenKind == .keyword(.`init`) {
        guard let base = member.base else {
          return annotation.flatMap { spelling($0) }.map { ($0, call.arguments) }
        }
        called = base
      }
      return spelling(called).map { ($0, call.arguments) }
    }

    private func spelling(_ expression: ExprSyntax) -> SourceFacts.Task.Spelling? {
      if let generic = expression.as(GenericSpecializationExprSyntax.self) { return spelling(generic.expression) }
      if let name = expression.as(DeclReferenceExprSyntax.self) { return .type(baseName(name.baseName)) }
      guard let member = expression.as(MemberAccessExprSyntax.self),
        let module = member.base?.as(DeclReferenceExprSyntax.self),
        TaskIndex.modules.contains(baseName(module.baseName)),
        baseName(member.declName.baseName) == TaskIndex.definition
      else { return nil }
      return .qualified
    }

    private func spelling(_ type: TypeSyntax) -> SourceFacts.Task.Spelling? {
      if let name = type.as(IdentifierTypeSyntax.self) { return .type(baseName(name.name)) }
      guard let member = type.as(MemberTypeSyntax.self), let module = member.baseType.as(IdentifierTypeSyntax.self),
        TaskIndex.modules.contains(baseName(module.name)), baseName(member.name) == TaskIndex.definition
      else { return nil }
      return .qualified
    }

    // MARK: Arguments

    private func append(
      _ spelling: SourceFacts.Task.Spelling, _ declaration: String, _ name: String, _ line: Int,
      _ arguments: LabeledExprListSyntax
    ) {
      facts.tasks.append(
        SourceFacts.Task(
          spelling: spelling, declaration: declaration, name: name, line: line, tags: tags(arguments),
          description: argument("description", arguments).flatMap(literal) ?? "", branches: branches))
    }

    /// The name as first argument without a label. Nil if it is no literal, or not there and there is no default.
    private func explicitName(_ arguments: LabeledExprListSyntax, default defaultName: String?) -> String? {
      guard let first = arguments.first, first.label == nil else { return defaultName }
      if first.expression.is(NilLiteralExprSyntax.self) { return defaultName }
      return literal(first.expression)
    }

    private func tags(_ arguments: LabeledExprListSyntax) -> [String] {
      guard let list = argument("tags", arguments)?.as(ArrayExprSyntax.self) else { return [] }
      return list.elements.compactMap { literal($0.expression) }
    }

    /// An argument of the task, or of its policy, where that is written as a value in place: the definition's second argument.
    private func argument(_ label: String, _ arguments: LabeledExprListSyntax) -> ExprSyntax? {
      if let argument = arguments.first(where: { $0.label?.text == label }) { return argument.expression }
      for argument in arguments where argument.label == nil {
        if let policy = argument.expression.as(FunctionCallExprSyntax.self),
          let argument = policy.arguments.first(where: { $0.label?.text == label })
        {
          return argument.expression
        }
      }
      return nil
    }

    private func literal(_ expression: ExprSyntax) -> String? {
      expression.as(StringLiteralExprSyntax.self)?.representedLiteralValue
    }

    // MARK: Scopes

    override func visit(_ node: ImportDeclSyntax) -> SyntaxVisitorContinueKind {
      guard let module = node.path.first.map({ baseName($0.name) }) else { return .skipChildren }
      facts.imports.insert(module)
      let isExported = attributes(node.attributes).contains { $0.attributeName.trimmedDescription == "_exported" }
      if isExported { facts.exports.insert(module) }
      return .skipChildren
    }

    override func visit(_ node: TypeAliasDeclSyntax) -> SyntaxVisitorContinueKind {
      guard types.isEmpty else { return .skipChildren }
      facts.declared.insert(baseName(node.name))
      if let spelling = spelling(node.initializer.value) { facts.aliases[baseName(node.name)] = spelling }
      return .skipChildren
    }

    override func visit(_ node: MacroDeclSyntax) -> SyntaxVisitorContinueKind {
      if types.isEmpty { facts.declared.insert(baseName(node.name)) }
      return .skipChildren
    }

    override func visit(_ node: StructDeclSyntax) -> SyntaxVisitorContinueKind { enter(node) }
    override func visit(_ node: ClassDeclSyntax) -> SyntaxVisitorContinueKind { enter(node) }
    override func visit(_ node: EnumDeclSyntax) -> SyntaxVisitorContinueKind { enter(node) }
    override func visit(_ node: ActorDeclSyntax) -> SyntaxVisitorContinueKind { enter(node) }
    override func visit(_ node: ProtocolDeclSyntax) -> SyntaxVisitorContinueKind { .skipChildren }
    override func visit(_ node: ExtensionDeclSyntax) -> SyntaxVisitorContinueKind {
      types.append(EnclosingType(isGeneric: false))
      return .visitChildren
    }

    override func visitPost(_ node: StructDeclSyntax) { types.removeLast() }
    override func visitPost(_ node: ClassDeclSyntax) { types.removeLast() }
    override func visitPost(_ node: EnumDeclSyntax) { types.removeLast() }
    override func visitPost(_ node: ActorDeclSyntax) { types.removeLast() }
    override func visitPost(_ node: ExtensionDeclSyntax) { types.removeLast() }

    private func enter(_ node: some NamedDeclSyntax & WithGenericParametersSyntax) -> SyntaxVisitorContinueKind {
      if types.isEmpty { facts.declared.insert(baseName(node.name)) }
      types.append(EnclosingType(isGeneric: node.genericParameterClause != nil))
      return .visitChildren
    }

    // What is in a body is local, and no task.
    override func visit(_ node: CodeBlockSyntax) -> SyntaxVisitorContinueKind { .skipChildren }
    override func visit(_ node: ClosureExprSyntax) -> SyntaxVisitorContinueKind { .skipChildren }
    override func visit(_ node: AccessorBlockSyntax) -> SyntaxVisitorContinueKind { .skipChildren }
    override func visit(_ node: SwitchExprSyntax) -> SyntaxVisitorContinueKind { .skipChildren }

    // MARK: Conditions

    override func visit(_ node: IfConfigDeclSyntax) -> SyntaxVisitorContinueKind {
      conditions += 1
      let condition = conditions
      for (part, clause) in parts(node) {
        branches.append(SourceFacts.Branch(condition: condition, part: part))
        if let elements = clause.elements { walk(elements) }
        branches.removeLast()
      }
      return .skipChildren
    }

    /// The parts that may be built, with their numbers.
    private func parts(_ node: IfConfigDeclSyntax) -> [(Int, IfConfigClauseSyntax)] {
      var parts: [(Int, IfConfigClauseSyntax)] = []
      for (number, clause) in node.clauses.enumerated() {
        let value = clause.condition.map { Self.value($0) } ?? true
        if value != false { parts.append((number, clause)) }
        if value == true { break }
      }
      return parts
    }

    /// What a condition is, whatever is built; nil if that depends.
    private static func value(_ condition: ExprSyntax) -> Bool? {
      if let literal = condition.as(BooleanLiteralExprSyntax.self) {
        return literal.literal.tokenKind == .keyword(.true)
      }
      if let tuple = condition.as(TupleExprSyntax.self), tuple.elements.count == 1, let only = tuple.elements.first {
        return value(only.expression)
      }
      if let not = condition.as(PrefixOperatorExprSyntax.self), not.operator.text == "!" {
        return value(not.expression).map { !$0 }
      }
      guard let sequence = condition.as(SequenceExprSyntax.self) else { return nil }
      // `a && b || c`: the parts between `||`, each of parts between `&&`.
      var either: [Bool?] = []
      var both: [Bool?] = []
      for element in sequence.elements {
        guard let infix = element.as(BinaryOperatorExprSyntax.self) else {
          both.append(value(element))
          continue
        }
        switch infix.operator.text {
        case "&&": break
        case "||":
          either.append(conjunction(both))
          both = []
        default: return nil
        }
      }
      either.append(conjunction(both))
      return either.contains(true) ? true : either.contains(nil) ? nil : false
    }

    private static func conjunction(_ values: [Bool?]) -> Bool? {
      values.contains(false) ? false : values.contains(nil) ? nil : true
    }

    // MARK: Words

    private func isStatic(_ modifiers: DeclModifierListSyntax) -> Bool {
      modifiers.contains { $0.name.tokenKind == .keyword(.static) }
    }

    /// Without the backticks that let a keyword be a name.
    private func baseName(_ token: TokenSyntax) -> String { token.identifier?.name ?? token.text }

    private func line(_ token: TokenSyntax) -> Int {
      converter.location(for: token.positionAfterSkippingLeadingTrivia).line
    }
  }
#endif
