import Modules

// For tests and demonstrations: the update modules as an executable of their own, started through a link with a module's name.
ModuleProgram.main()
