# People at their own computers: a home each, and how they sign in.
#   ada   administrator, a user of the built-in provider
#   olga  compliance officer, a user of the built-in provider
#   tess  technician, who signs in at dex
declare -A provider=([ada]=guests [olga]=guests [tess]=acme)
declare -A password=([ada]="a long password of ada" [olga]="a long password of olga" [tess]=)

# as PERSON COMMAND runs a shell command with that person's home.
as() {
  local person=$1; shift
  on people "mkdir -p /home/$person; cd /home/$person
    export HOME=/home/$person PERSON=$person PROVIDER=${provider[$person]} PASSWORD='${password[$person]}' REPO=$repo
    $*"
}
