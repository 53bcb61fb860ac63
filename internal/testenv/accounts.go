package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// accountsScript runs in a mount namespace of its own: the machine's /etc is not touched, and what was changed is gone with the
// last process. $1 is a copy of /etc, $2 a file of name:password lines.
const accountsScript = `set -e
mount --bind "$1" /etc
echo 'wilma:x:61234:61234:Wilma:/:/bin/bash' >>/etc/passwd
echo 'wilma:x:61234:' >>/etc/group
echo 'wilma:*:20000:0:99999:7:::' >>/etc/shadow
chpasswd <"$2"
rm "$2"
printf '%s\n' 'nobody ALL=(ALL) ALL' 'Defaults>wilma pwfeedback' >/etc/sudoers.d/sallyport-test
chmod 0440 /etc/sudoers.d/sallyport-test
shift 2
exec "$@"`

// OwnAccounts gives a wrapper for StartUnder: the demo sees accounts of its own. nobody has a password and may sudo, with
// asterisks shown as wilma; wilma is somebody to su to. Needs root.
func OwnAccounts(t testing.TB, dir string, passwords map[string]string) []string {
	t.Helper()
	etc, words := filepath.Join(dir, "etc"), filepath.Join(dir, "words")
	if out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput(); err != nil {
		t.Fatalf("copy /etc: %v %s", err, out)
	}
	var b strings.Builder
	for name, word := range passwords {
		fmt.Fprintf(&b, "%s:%s\n", name, word)
	}
	if err := os.WriteFile(words, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"unshare", "-m", "--propagation", "private", "sh", "-c", accountsScript, "sh", etc, words}
}
