import DaemonProgram

DaemonProgram.main()
