// dicomweb-client and dcmjs, each function a call of theirs and nothing else.
import dcmjs from 'dcmjs';
import { api } from 'dicomweb-client';
import { offer } from './bridge.js';

const { DicomDict, DicomMessage, DicomMetaDictionary, datasetToDict } = dcmjs.data;
const LIVER = {
  SegmentNumber: 1,
  SegmentLabel: 'Liver',
  SegmentAlgorithmType: 'MANUAL',
  SegmentedPropertyCategoryCodeSequence: { CodeValue: 'T-D0050', CodingSchemeDesignator: 'SRT', CodeMeaning: 'Tissue' },
  SegmentedPropertyTypeCodeSequence: { CodeValue: 'T-62000', CodingSchemeDesignator: 'SRT', CodeMeaning: 'Liver' },
};
let client;

function written({ meta, dataset }) {
  const file = new DicomDict(DicomMetaDictionary.denaturalizeDataset(meta));
  file.dict = DicomMetaDictionary.denaturalizeDataset(dataset);
  return file.write();
}

function read(bytes) {
  const file = DicomMessage.readFile(bytes);
  return {
    meta: DicomMetaDictionary.naturalizeDataset(file.meta),
    dataset: DicomMetaDictionary.naturalizeDataset(file.dict),
  };
}

// A segmentation of a series as viewers save it: the slices as one multi-frame, and a mask (0 or 1) for some of them.
async function segment({ series, masks, frames }) {
  const slices = (await client.retrieveSeries(series)).map((bytes) => {
    const file = DicomMessage.readFile(bytes);
    const slice = DicomMetaDictionary.naturalizeDataset(file.dict);
    return Object.assign(slice, { _meta: DicomMetaDictionary.namifyDataset(file.meta) });
  });
  const segmentation = new dcmjs.derivations.Segmentation([dcmjs.normalizers.Normalizer.normalizeToDataset(slices)]);
  segmentation.setNumberOfFrames(frames.length);
  segmentation.addSegment(LIVER, new Uint8Array(masks), frames);
  segmentation.bitPackPixelData();
  return datasetToDict(segmentation.dataset).write();
}

offer({
  connect: (options) => {
    client = new api.DICOMwebClient({ ...options, verbose: false });
  },
  request: ({ method, options }) => client[method](options),

  // The upload's own progress events make the browser ask first (a preflight with `content-type`).
  upload: async ({ datasets, studyInstanceUID }) => {
    const instance = new XMLHttpRequest();
    const sent = [];
    instance.upload.onprogress = (event) => sent.push([event.loaded, event.total]);
    const options = { datasets, request: { instance } };
    const answer = await client.storeInstances(studyInstanceUID ? { ...options, studyInstanceUID } : options);
    return { status: instance.status, answer, sent };
  },

  naturalize: (dataset) => DicomMetaDictionary.naturalizeDataset(dataset),
  write: written,
  read,
  segment,
});
