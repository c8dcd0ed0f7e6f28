import InstallerProgram

InstallerProgram.main()
