package import ArgumentParser

/// What `nuvom discover tasks` and `nuvom-discover tasks` take: both parse the same.
package struct DiscoveryOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where the sources are, and the manifest.", valueName: "dir"))
  package var root = "."

  @Option(
    help: ArgumentHelp(
      "Read only files that match, or that are below what matches. A line as in .nuvomignore, for paths below the root; may be repeated.",
      valueName: "glob"))
  package var include: [String] = []

  @Option(
    help: ArgumentHelp(
      "Leave out what matches, whatever .nuvomignore says. A line as in .nuvomignore; may be repeated.",
      valueName: "glob"))
  package var exclude: [String] = []

  @Flag(name: .customLong("json"), help: "Print one JSON document.")
  package var isJSON = false

  package init() {}

  /// The arguments that say the same, for another program.
  package var arguments: [String] {
    ["--root=\(root)"] + include.map { "--include=\($0)" } + exclude.map { "--exclude=\($0)" }
      + (isJSON ? ["--json"] : [])
  }

  package static let abstract = "Find the tasks in Swift sources, without building them, and write the manifest."

  package static let discussion = """
    Finds functions with @NuvomTask, global or static, and constants that hold a TaskDefinition, global or static, below --root, and \
    writes them to .nuvom/manifest.json there if something changed. `nuvom list tasks` shows it. Prints what was added (+), removed (-) \
    and modified (~).

    Left out: what the files .nuvomignore say (by git's rules for .gitignore, in any directory), hidden files and directories, .build, \
    DerivedData, Package.swift, symbolic links. \
    Of `#if`, parts under a condition that is false whatever is built (`#if false`) are left out, all others are read: a task may be in \
    several parts of one `#if`.

    Exit status: 0 done; 65 two tasks of one name, or the manifest is no manifest of this version (nothing is written), or a file is no \
    Swift (its tasks stay in the manifest as they were, all others are written); 66 no such directory, or nuvom-discover is missing; \
    74 reading or writing failed.
    """
}
