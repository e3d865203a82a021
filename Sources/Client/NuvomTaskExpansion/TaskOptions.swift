#if Macros
  internal import SwiftSyntax
  internal import SwiftSyntaxMacros

  /// What an attribute says of its task, as expressions.
  struct TaskOptions {
    /// A string literal.
    let name: String
    /// The arguments of `TaskPolicy`.
    let policy: String
    /// The arguments of `TaskHooks`.
    let hooks: String

    private static let policyLabels = [
      "queue", "priority", "retries", "retryDelay", "backoff", "timeout", "timeoutPolicy", "storeResult", "retention",
      "lease", "tags", "description", "category",
    ]
    private static let hookLabels = ["beforeJob", "afterJob", "onError"]

    /// Nil if something is wrong, which is then said.
    init?(_ attribute: AttributeSyntax, defaultName: String, in context: some MacroExpansionContext) {
      var name: String?
      var given: [String: String] = [:]
      for argument in attribute.arguments?.as(LabeledExprListSyntax.self) ?? [] {
        if let label = argument.label {
          guard (Self.policyLabels + Self.hookLabels).contains(label.text) else {
            context.say(.notInPlace(label.text), at: argument)
            return nil
          }
          given[label.text] = argument.expression.trimmedDescription
        } else if !argument.expression.is(NilLiteralExprSyntax.self) {
          guard let literal = argument.expression.as(StringLiteralExprSyntax.self),
            let value = literal.representedLiteralValue
          else {
            context.say(.nameNoLiteral, at: argument.expression)
            return nil
          }
          guard (1...255).contains(value.utf8.count) else {
            context.say(.nameLength, at: argument.expression)
            return nil
          }
          name = literal.trimmedDescription
        }
      }
      // A function's name needs no escapes.
      self.name = name ?? "\"\(defaultName)\""
      func list(_ labels: [String]) -> String {
        labels.compactMap { label in given[label].map { "\(label): \($0)" } }.joined(separator: ", ")
      }
      policy = list(Self.policyLabels)
      hooks = list(Self.hookLabels)
    }
  }
#endif
