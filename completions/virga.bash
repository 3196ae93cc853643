# bash completion for virga(1), virga-cloud(7) and virga-vmm(8)

_virga_flags="--config --name --uuid --kernel --initrd --append --disk --net --cpus --pin --cpu-model
    --memory --engine --console --virtio-console --share --vsock --rng --balloon --api --gdb --load --paused
    --no-reboot --sandbox --log --debug-exit --qtest --help"

# The flags of a VM; $1 is the word, $2 the one before it.
_virga_vm()
{
    local words=""
    compopt +o nospace
    case $2 in
    --config | --kernel | --initrd | --api | --gdb | --load | --qtest)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$1")
        return
        ;;
    --disk)
        compopt -o filenames -o nospace
        if [[ $1 == *,* ]]; then
            compopt +o filenames
            mapfile -t COMPREPLY < <(compgen -P "${1%,*}," -W "readonly format=raw format=qcow2 cache=writeback
                cache=none cache=unsafe on_error=report on_error=stop on_error=enospc id= serial= queues=
                own_thread=on own_thread=off iops= bandwidth=" -- "${1##*,}")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$1"; compgen -W "vhost-user:" -- "$1")
        fi
        return
        ;;
    --share)
        compopt -o filenames -o nospace
        mapfile -t COMPREPLY < <(compgen -d -- "$1")
        return
        ;;
    --net) words="user user,forward= tap: vhost-user: none" ;;
    --engine) words="auto kvm soft" ;;
    --console | --virtio-console) words="stdio pty file: unix: none" ;;
    --rng | --balloon) words="on off" ;;
    --sandbox) words="auto require off" ;;
    --log) words="error warn info debug" ;;
    --memory) words="128M 256M 512M 1G 2G 4G" ;;
    --name | --uuid | --append | --cpus | --pin | --cpu-model | --vsock) return ;;
    *) words=$_virga_flags ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$1")
}

# The cloud's commands know themselves what may stand where. $1 is the word, $2 the path of virga.
_virga_cloud()
{
    local line words=() typed=("${COMP_WORDS[@]:1:COMP_CWORD}")
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local all=() at=0
        _get_comp_words_by_ref -n =: -w all -i at
        typed=("${all[@]:1:at}")
    fi
    while IFS=$'\t' read -r line _; do
        words+=("$line")
    done < <("$2" __complete "${typed[@]}" 2>/dev/null)
    COMPREPLY+=("${words[@]}")
    if ((${#words[@]} == 0)) && ((COMP_CWORD > 2)); then
        compopt -o default
    fi
}

_virga()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    # bash takes "=" and ":" for words of their own: join what they parted.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: -c word -p before
    fi
    if [[ ${COMP_WORDS[0]##*/} == virga-vmm ]]; then
        _virga_vm "$word" "$before"
    elif ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "run help version --help --version" -- "$word")
        _virga_cloud "$word" "${COMP_WORDS[0]}"
    elif [[ ${COMP_WORDS[1]} == run ]]; then
        _virga_vm "$word" "$before"
    elif [[ ${COMP_WORDS[1]} == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "run" -- "$word")
    else
        _virga_cloud "$word" "${COMP_WORDS[0]}"
    fi
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$word"
    fi
}

complete -F _virga virga virga-vmm
