import ControlProgram

ControlProgram.main()
