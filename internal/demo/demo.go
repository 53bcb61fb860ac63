// Package demo shows the product on one computer: a gateway, a few machines and one person of each role, for somebody who has
// read two lines of a README.
//
// # What it is allowed
//
// To make what a real installation must not: passwords and tokens that are printed, keys of readers and unsealers lying beside the
// records, devices that are admitted without a look, machines that are this machine. In return it listens on loopback only, answers to
// loopback names only, marks its directory so that `sallyport serve` refuses it, and says which promises it weakens.
//
// # What it must keep
//
// Everything else is the real thing, in processes of its own. And whatever becomes of the demo, nothing of it is left: Front and
// Guard end it between them, also after kill -9 (docs/decisions/0002). It runs as root and as anybody.
//
// Only the command line imports it.
package demo
