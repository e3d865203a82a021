#if Macros
  import NuvomTaskExpansion
  import SwiftCompilerPlugin
  import SwiftSyntax
  import SwiftSyntaxMacros

  @main
  struct NuvomMacros: CompilerPlugin {
    let providingMacros: [any Macro.Type] = [NuvomTaskMacro.self]
  }

  /// The compiler finds a macro by the name of the plug-in's module; its expansion is in a module of its own, since a test that depended on a
  /// plug-in would have everything built twice, for the compiler's machine and for the program's.
  struct NuvomTaskMacro: PeerMacro {
    static func expansion(
      of node: AttributeSyntax, providingPeersOf declaration: some DeclSyntaxProtocol,
      in context: some MacroExpansionContext
    ) throws -> [DeclSyntax] {
      try TaskMacro.expansion(of: node, providingPeersOf: declaration, in: context)
    }
  }
#else
  /// Holds the plug-in's place in a build without swift-syntax.
  @main
  struct NuvomMacros {
    static func main() {}
  }
#endif
