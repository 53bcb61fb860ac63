# ACME's own CA, and what it signs. Files lie in $WORK, the table between the hosts.
certificates() {
  (
    cd "$WORK"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=ACME internal CA" \
      -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out acme-ca.pem
    issue access.acme.example front
    issue login.acme.example login
  ) 2>"$WORK/openssl.log"
}

# issue NAME FILE makes FILE.key and FILE.pem for a name.
issue() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$2.key" -out "$2.csr"
  openssl x509 -req -in "$2.csr" -CA acme-ca.pem -CAkey ca.key -CAcreateserial -days 90 -out "$2.pem" \
    -extfile <(printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' "$1")
}

# new_certificate puts another one for the gateway on the table: fullchain.pem and privkey.pem.
new_certificate() {
  (cd "$WORK" && issue access.acme.example gateway && cp gateway.pem fullchain.pem && cp gateway.key privkey.pem) 2>>"$WORK/openssl.log"
}
