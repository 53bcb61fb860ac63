// Package proc runs what a session asks for on the device: programs as the login of the pass, in a tree that ends when
// the session does, at a terminal that is watched for hidden input.
//
// # The tree
//
// Every process that a session started ends with the session. This includes a process that moved to the background, to
// a process session of its own, or away from its parent. A cgroup holds the processes where one can be made. Parentage
// holds them everywhere, because this process adopts its orphaned descendants. A process that survives SIGKILL is
// reported by name. Whoever becomes root on the device can leave the tree.
//
// # Hidden input
//
// Only this package can tell whether a terminal hides input. Without echo, a terminal in line mode hides it. In other
// modes it depends on the programs in the foreground (echo.go, shells.go), and on the terminals that they opened to
// pass input on (walk.go). Input after a newline waits until the program has read the line. Otherwise the rest of a
// paste could reach a prompt that does not hide its input yet. A terminal whose mode cannot be read counts as hiding,
// because a line sealed without need does less harm than a recorded password.
//
// The package needs Linux. It knows nothing of passes, rules or session lines: package supervise calls it for programs
// that are allowed.
package proc
