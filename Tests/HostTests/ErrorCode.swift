import Host

/// The number of the system error that the body throws; nil if it throws none.
func code(_ body: () throws -> Void) -> CInt? {
    do {
        try body()
        return nil
    } catch {
        return (error as? SystemError)?.code
    }
}
