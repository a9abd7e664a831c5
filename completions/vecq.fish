# SPDX-License-Identifier: Apache-2.0
# fish completion for vecq. tests/cli holds the options against "vecq COMMAND --help".

function __vecq_methods
    vecq quantize --method list 2>/dev/null | string replace -r ' .*' ''
end

function __vecq_networks
    vecq train --networks 2>/dev/null | string replace -r ' .*' ''
end

set -l levels 'ref avx2 avxvnni avx512 avx512vnni neon'
set -l places 'idx: cifar10: images: text:'
set -l sizes 'tensor channel group:32 group:64 group:128'

complete -c vecq -n __fish_use_subcommand -f -a quantize -d 'quantize the weights of a model'
complete -c vecq -n __fish_use_subcommand -f -a unpack -d 'packed model back to float'
complete -c vecq -n __fish_use_subcommand -f -a inspect -d 'show the float constants of a model'
complete -c vecq -n __fish_use_subcommand -f -a compare -d 'compare methods, modes and widths'
complete -c vecq -n __fish_use_subcommand -f -a template -d 'best step for Gaussian weights'
complete -c vecq -n __fish_use_subcommand -f -a train -d 'train or fine-tune a network'
complete -c vecq -n __fish_use_subcommand -f -a eval -d 'accuracy on labelled data'
complete -c vecq -n __fish_use_subcommand -f -a help -d 'explain a command'
complete -c vecq -n __fish_use_subcommand -s h -l help -d 'show the commands'
complete -c vecq -n __fish_use_subcommand -s V -l version -d 'show the version'
complete -c vecq -n '__fish_seen_subcommand_from help' -f -a 'quantize unpack inspect compare template train eval'

complete -c vecq -n '__fish_seen_subcommand_from quantize' -s o -l output -r -d 'file to write'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -s b -l bits -x -a '1 2 3 4 5 6 7 8' -d 'bits a weight'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -s m -l method -x -a '(__vecq_methods)' -d quantizer
complete -c vecq -n '__fish_seen_subcommand_from quantize' -s g -l granularity -x -a "$sizes" -d 'what shares a scale'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l lambda -x -a 'table template search' -d 'how the step is chosen'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l format -x -a 'packed qdq float' -d 'how weights are stored'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l inline -d 'decode with plain nodes'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l biases -d 'quantize biases too'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l preset -x -a paper -d 'settings of a paper'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l layer -x -d 'settings for some weights'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l include -x -d 'only weights that match'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l exclude -x -d 'not the weights that match'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l external-data -x -a 'auto yes no' -d 'tensors in a file of their own'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l dry-run -d 'print the plan, write nothing'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l strict -d 'fail when a selected weight would stay in float'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l json -d 'print JSON'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -s j -l threads -x -d 'processors to use'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -l cpu -x -a "$levels" -d 'highest instruction set'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -s q -l quiet -d 'no table, no progress'
complete -c vecq -n '__fish_seen_subcommand_from quantize' -s h -l help -d 'show help'

complete -c vecq -n '__fish_seen_subcommand_from unpack' -s o -l output -r -d 'file to write'
complete -c vecq -n '__fish_seen_subcommand_from unpack' -l external-data -x -a 'auto yes no' -d 'tensors in a file of their own'
complete -c vecq -n '__fish_seen_subcommand_from unpack' -l json -d 'print JSON'
complete -c vecq -n '__fish_seen_subcommand_from unpack' -l cpu -x -a "$levels" -d 'highest instruction set'
complete -c vecq -n '__fish_seen_subcommand_from unpack' -s q -l quiet -d 'no summary, no progress'
complete -c vecq -n '__fish_seen_subcommand_from unpack' -s h -l help -d 'show help'

complete -c vecq -n '__fish_seen_subcommand_from inspect' -l layer -x -d 'only tensors that match'
complete -c vecq -n '__fish_seen_subcommand_from inspect' -l histogram -d 'draw the distributions'
complete -c vecq -n '__fish_seen_subcommand_from inspect' -l json -d 'print JSON'
complete -c vecq -n '__fish_seen_subcommand_from inspect' -l cpu -x -a "$levels" -d 'highest instruction set'
complete -c vecq -n '__fish_seen_subcommand_from inspect' -s h -l help -d 'show help'

complete -c vecq -n '__fish_seen_subcommand_from compare' -l gaussian -x -d 'samples of a Gaussian'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l laplace -x -d 'samples of a Laplace distribution'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l student -x -d "samples of Student's t"
complete -c vecq -n '__fish_seen_subcommand_from compare' -l samples -x -d 'how many samples'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l seed -x -d 'seed of the samples'
complete -c vecq -n '__fish_seen_subcommand_from compare' -s b -l bits -x -a '1-8 2,3,4 1 2 3 4 5 6 7 8' -d widths
complete -c vecq -n '__fish_seen_subcommand_from compare' -s m -l method -x -a '(__vecq_methods)' -d quantizers
complete -c vecq -n '__fish_seen_subcommand_from compare' -s g -l granularity -x -a "$sizes" -d 'what shares a scale'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l lambda -x -a 'table template search' -d 'how the step is chosen'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l layer -x -d 'only weights that match'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l per-layer -d 'a row for each weight too'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l json -d 'print JSON'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l csv -d 'print comma separated values'
complete -c vecq -n '__fish_seen_subcommand_from compare' -s j -l threads -x -d 'processors to use'
complete -c vecq -n '__fish_seen_subcommand_from compare' -l cpu -x -a "$levels" -d 'highest instruction set'
complete -c vecq -n '__fish_seen_subcommand_from compare' -s q -l quiet -d 'no progress'
complete -c vecq -n '__fish_seen_subcommand_from compare' -s h -l help -d 'show help'

complete -c vecq -n '__fish_seen_subcommand_from template' -s b -l bits -x -a '1-8 2,3,4 1 2 3 4 5 6 7 8' -d widths
complete -c vecq -n '__fish_seen_subcommand_from template' -l json -d 'print JSON'
complete -c vecq -n '__fish_seen_subcommand_from template' -s h -l help -d 'show help'

complete -c vecq -n '__fish_seen_subcommand_from train' -s o -l output -r -d 'file to write'
complete -c vecq -n '__fish_seen_subcommand_from train' -l model -r -d 'ONNX model to fine-tune'
complete -c vecq -n '__fish_seen_subcommand_from train' -l network -x -a '(__vecq_networks)' -d 'built-in network to train'
complete -c vecq -n '__fish_seen_subcommand_from train' -l data -x -a "$places" -d 'training data'
complete -c vecq -n '__fish_seen_subcommand_from train' -l test -x -a "$places" -d 'other test data'
complete -c vecq -n '__fish_seen_subcommand_from train' -s b -l bits -x -a '0 1 2 3 4 5 6 7 8' -d 'bits of weights'
complete -c vecq -n '__fish_seen_subcommand_from train' -l act-bits -x -a '0 1 2 3 4 5 6 7 8' -d 'bits of activations'
complete -c vecq -n '__fish_seen_subcommand_from train' -l epochs -x -d 'passes over the training data'
complete -c vecq -n '__fish_seen_subcommand_from train' -l set -x -d 'a setting of a recipe'
complete -c vecq -n '__fish_seen_subcommand_from train' -l resume -d 'go on from the checkpoint'
complete -c vecq -n '__fish_seen_subcommand_from train' -l checkpoint -r -d 'file for checkpoints'
complete -c vecq -n '__fish_seen_subcommand_from train' -l log -r -d 'JSON lines of the run'
complete -c vecq -n '__fish_seen_subcommand_from train' -l keys -d 'list every setting'
complete -c vecq -n '__fish_seen_subcommand_from train' -l networks -d 'list the built-in networks'
complete -c vecq -n '__fish_seen_subcommand_from train' -l profile -d 'where the time of a step goes'
complete -c vecq -n '__fish_seen_subcommand_from train' -s j -l threads -x -d 'threads to use'
complete -c vecq -n '__fish_seen_subcommand_from train' -l json -d 'print JSON'
complete -c vecq -n '__fish_seen_subcommand_from train' -l cpu -x -a "$levels" -d 'highest instruction set'
complete -c vecq -n '__fish_seen_subcommand_from train' -s q -l quiet -d 'no progress'
complete -c vecq -n '__fish_seen_subcommand_from train' -s h -l help -d 'show help'

complete -c vecq -n '__fish_seen_subcommand_from eval' -l data -x -a "$places" -d 'labelled data'
complete -c vecq -n '__fish_seen_subcommand_from eval' -l split -x -a 'test validation train' -d 'part of the data'
complete -c vecq -n '__fish_seen_subcommand_from eval' -l set -x -d 'a setting of preprocessing'
complete -c vecq -n '__fish_seen_subcommand_from eval' -s j -l threads -x -d 'threads to use'
complete -c vecq -n '__fish_seen_subcommand_from eval' -l json -d 'print JSON'
complete -c vecq -n '__fish_seen_subcommand_from eval' -l cpu -x -a "$levels" -d 'highest instruction set'
complete -c vecq -n '__fish_seen_subcommand_from eval' -s q -l quiet -d 'no progress'
complete -c vecq -n '__fish_seen_subcommand_from eval' -s h -l help -d 'show help'
