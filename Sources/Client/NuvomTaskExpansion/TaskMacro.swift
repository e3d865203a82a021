#if Macros
  package import SwiftSyntax
  package import SwiftSyntaxMacros

  /// `@NuvomTask`: makes of a function `resize` an input type, a task type and `resizeTask`, the only value of it.
  package struct TaskMacro: PeerMacro {
    package static func expansion(
      of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
      in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
      guard
        let function = TaskFunction(declaration, attribute: node, in: context),
        let options = TaskOptions(node, defaultName: function.name, in: context)
      else { return [] }
      return TaskExpansion(function: function, options: options).declarations
    }
  }
#endif
