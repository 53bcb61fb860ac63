// Package proc runs what a session asks for on the device: programs as the login of the pass, in a tree that ends when
// the session does, at a terminal that is watched for hidden input.
//
// # The tree
//
// What a session started ends with it, also what put itself into the background, into a session of its own, or away from its parent. A cgroup
// holds it where there is one, and parentage everywhere: this process adopts what its descendants abandon. What survives even SIGKILL is
// named, never passed over. Somebody who becomes root on the device can leave the tree; the record says what it saw.
//
// # Hidden input
//
// Whether the terminal hides what is typed is known here and nowhere else. Without echo it hides in line mode. In other
// modes the programs in the foreground decide (echo.go, shells.go), and the terminals that they opened to pass on what is
// typed (walk.go). What is typed after a newline waits until the program has taken the line, or the rest of a paste would
// be typed into a prompt that does not hide yet. A terminal that cannot be asked counts as hiding: a sealed line too many
// is a nuisance, a password in the record is not.
//
// It is Linux, and knows nothing of passes, rules or lines: package supervise asks for what was allowed.
package proc
