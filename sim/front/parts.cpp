// SPDX-License-Identifier: Apache-2.0
#include "sim/front/parts.hpp"

namespace ts
{
namespace
{

void open_trace(WorkloadChoice *choice, const YamlNode &file, const PartsOf &of)
{
    const std::string &name = file.as_scalar("workload.file");
    choice->trace_place = file.place;
    choice->trace_label = name;
    if (!of.with_trace)
        return;
    const std::string path = of.paths.file(name, file.place, true);
    choice->trace = std::make_shared<Trace>(path, file.place);
    choice->trace_label = of.paths.label(path);
}

// Takes `arch` out of the content of a hypervisor or guest; a machine has topology.arch.
void take_arch(std::vector<ArchWish> *wishes, YamlNode *content, const std::string &what,
               const std::string &name, const Place &place)
{
    const YamlEntry *entry = what == "machine" ? nullptr : content->find("arch");
    if (!entry)
        return;
    const Key &key = *Keys::get().find("topology.arch", KeyOwners());
    const std::string &arch = entry->value.as_scalar("arch");
    key.parse(arch, entry->value.place);
    wishes->push_back(ArchWish{name, arch, place, entry->value.place});
    content->remove("arch");
}

} // namespace

WorkloadChoice workload_read(const YamlNode &value, const PartsOf &of, const ts_study_ops *study,
                             Layer *layer)
{
    WorkloadChoice choice;
    YamlNode map = value;
    map.as_map("workload");
    const YamlEntry *kind = map.find("kind");
    if (!kind)
        user_error(map.place, "the workload has no 'kind'; `tlbstorm list workloads` names "
                              "them");
    choice.workload = &workload_need(kind->value.as_scalar("workload.kind"), kind->value.place);
    choice.workload_place = kind->value.place;
    const YamlEntry *file = map.find("file");
    const std::string name = choice.workload->ops.name;
    if (choice.workload->ops.needs_file && !file)
        user_error(map.place, "the workload " + name + " reads a trace and has no 'file'");
    if (!choice.workload->ops.needs_file && file)
        user_error(file->place, "the workload " + name + " reads no file");
    if (file)
        open_trace(&choice, file->value, of);
    map.remove("kind");
    map.remove("file");
    layer_take(layer, map, "workload", of.document, KeyOwners{choice.workload, study},
               LayerOf::Experiment);
    return choice;
}

void piece_read(const YamlNode &map, const std::string &what, const PartsOf &of, Layer *layer,
                std::string *label, std::vector<ArchWish> *wishes)
{
    const YamlEntry *entry = map.find(what);
    if (!entry)
        return;
    if (entry->value.kind == YamlNode::Map) {
        YamlNode content = entry->value;
        take_arch(wishes, &content, what, what, entry->place);
        layer_take(layer, content, "", of.document, KeyOwners(), LayerOf::Piece);
        return;
    }
    *label = entry->value.as_scalar(what);
    const std::string path = of.paths.piece(what + "s", *label, entry->value.place);
    Document piece = document_load(path, entry->value.place, of.paths);
    for (const std::string key : {"title", "description", "schema"}) {
        const YamlEntry *text = piece.root.find(key);
        if (!text)
            continue;
        text->value.as_scalar(key);
        piece.root.remove(key);
    }
    take_arch(wishes, &piece.root, what, what + " " + *label, entry->value.place);
    Layer own;
    layer_take(&own, piece.root, "", piece, KeyOwners(), LayerOf::Piece);
    layer_merge(layer, own);
}

} // namespace ts
