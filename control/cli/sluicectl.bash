# Bash completion of sluicectl: command words, then names that the running daemon knows.
_sluicectl() {
  local cur=${COMP_WORDS[COMP_CWORD]} words=() path="" w skip=0
  for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if (( skip )); then skip=0; continue; fi
    case $w in
      --socket|-w|--watch|-n|--limit|-c|--count|-s|--size|--snaplen|-i|-I|-t) skip=1 ;;
      -*) ;;
      *) path+="${path:+ }$w" ;;
    esac
  done
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "--socket --json --help --version --watch --detail --brief --limit --count --size --check --write --snaplen" -- "$cur"))
    return
  fi
  local names=""
  case $path in
    "") words=(show modify clear drain delete ping capture dump apply restart shutdown) ;;
    show) words=(virtual virtual-address pool member node monitor ip arp flows workers ports drops errors tcp access-log bfd config version) ;;
    "show ip") words=(route bgp) ;;
    "show ip bgp") words=(summary neighbors) ;;
    "show virtual"|"show errors"|"modify virtual") names=virtual ;;
    "show pool"|"show member"|"modify member") names=pool ;;
    "show monitor") names=monitor ;;
    "show virtual-address"|drain) names=address; words=('*') ;;
    "drain "*) words=(on off) ;;
    "show ip bgp neighbors"|"clear ip bgp") names=bgp; words=('*') ;;
    "show ip bgp neighbors "*) words=(received-routes advertised-routes routes) ;;
    "show ip bgp summary"*) ;;
    "show ip bgp "*) words=(longer-prefixes best community from as) ;;
    modify) words=(member virtual) ;;
    "modify member "*) words=(state enabled disabled offline) ;;
    "modify virtual "*) words=(state enabled disabled) ;;
    clear) words=(ip) ;;
    "clear ip") words=(bgp) ;;
    "clear ip bgp "*) words=(soft in out) ;;
    delete) words=(flows) ;;
    dump) words=(bgp) ;;
    "dump bgp") words=(rib) ;;
    "show flows"*|"delete flows"*) words=(all protocol client member address destination port virtual pool limit) ;;
    apply) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  case $names in
    virtual|pool|monitor)
      words+=($(sluicectl show $names --json 2>/dev/null | sed -n 's/^      "name": "\(.*\)",$/\1/p')) ;;
    address)
      words+=($(sluicectl show virtual-address --json 2>/dev/null | sed -n 's/^      "address": "\(.*\)",$/\1/p')) ;;
    bgp)
      words+=($(sluicectl show ip bgp neighbors --json 2>/dev/null | sed -n 's/^      "address": "\(.*\)",$/\1/p')) ;;
  esac
  COMPREPLY=($(compgen -W "${words[*]}" -- "$cur"))
}
complete -F _sluicectl sluicectl
