//go:build !windows

package reach

import "syscall"

// Error codes of the system, grouped by meaning.
var (
	refused = []error{syscall.ECONNREFUSED}
	noRoute = []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL}
	closed  = []error{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
)
